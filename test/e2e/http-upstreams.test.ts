import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { JsonObject } from "../../src/call.ts";
import { configFile, root, startGateway, startServers } from "../support/gateway.ts";
import { OddHttp } from "../support/odd-http.ts";
import { textOf, type RawClient } from "../support/raw-client.ts";

const failureOf = (result: JsonObject): unknown =>
  (result["_meta"] as JsonObject | undefined)?.["holdfast/failure"];

/** How often the server was asked to run a tool. */
const runs = async (server: OddHttp, tool: string): Promise<number> =>
  (await server.seen()).requests.filter((request) => request.tool === tool).length;

async function startWith(server: JsonObject): Promise<RawClient> {
  const client = startServers({ web: server });
  await client.initialize();
  await client.tools();
  return client;
}

describe.each(["http", "sse"] as const)("a server by %s", (type) => {
  const address = (server: OddHttp): JsonObject =>
    type === "sse" ? { type, url: `${server.origin}/sse` } : { type, url: server.url };

  it("that dies in the middle of an answer: the call is told at once, and the next succeeds when it is back", async () => {
    const server = await OddHttp.start({ transport: type });
    const client = await startWith(address(server));
    const broken = await client.call("web__exit");
    expect(broken).toMatchObject({ isError: true });
    expect(failureOf(broken)).toMatchObject({ code: "connection_lost", outcome: "unknown" });
    await server.exited();
    await OddHttp.start({ transport: type, port: server.port });
    expect(textOf(await client.call("web__echo", { back: true }))).toBe('{"back":true}');
    expect(client.messages.filter(({ method }) => method !== undefined)).toEqual([]);
  });

  it("that is gone: calls are refused with the time of the next try, and nothing was done", async () => {
    const server = await OddHttp.start({ transport: type });
    const client = await startWith(address(server));
    await server.stop();
    let refused: JsonObject;
    // The first few tries come so soon that a call waits for them.
    do refused = await client.call("web__echo");
    while ((failureOf(refused) as JsonObject)["retryAfterMs"] === undefined);
    expect(failureOf(refused)).toMatchObject({ code: "unavailable", outcome: "failed" });
    expect(textOf(refused)).toContain("Nothing was done");
  });

  it("that answers one call never: that call is ended by its time, the others go on", async () => {
    const server = await OddHttp.start({ transport: type });
    const client = await startWith({
      ...address(server),
      policies: { timeout: { attemptMs: 2000 } },
    });
    const [never, ...others] = await Promise.all([
      client.call("web__never"),
      ...Array.from({ length: 20 }, (_, n) => client.call("web__echo", { n })),
    ]);
    expect(failureOf(never)).toMatchObject({ code: "timeout", outcome: "unknown" });
    expect(others.map(textOf)).toEqual(others.map((_, n) => JSON.stringify({ n })));
    await server.until(({ cancelled }) => cancelled.length === 1);
    expect(textOf(await client.call("web__echo"))).toBe("{}");
  });

  it("that hangs from the start hurts no other, and is told", async () => {
    const server = await OddHttp.start({ transport: type, start: "hang" });
    const good = await OddHttp.start({});
    const client = startServers({
      web: { ...address(server), startTimeoutMs: 300 },
      good: { url: good.url },
    });
    await client.initialize();
    expect(textOf(await client.call("good__echo"))).toBe("{}");
    await client.until(() => client.stderr.includes("did not answer in time"));
  });
});

describe("a server that forgets its sessions", () => {
  it.each([404, 400])(
    "with HTTP %i is connected anew, and the call that met it is done once",
    async (forgotten) => {
      const server = await OddHttp.start({ forgotten });
      const client = await startWith({ url: server.url });
      const before = textOf(await client.call("web__session"));
      await server.act("forget");
      const after = textOf(await client.call("web__session"));
      expect(after).not.toBe(before);
      expect(after).not.toBe("none");
      // Once before, once refused for its session, once done.
      expect(await runs(server, "session")).toBe(3);
    },
  );

  it("is healed while many calls are under way", async () => {
    const server = await OddHttp.start({});
    const client = await startWith({ url: server.url });
    const calls = Array.from({ length: 50 }, (_, n) => client.call("web__echo", { n }));
    await server.act("forget");
    calls.push(...Array.from({ length: 50 }, (_, n) => client.call("web__echo", { n: n + 50 })));
    const texts = (await Promise.all(calls)).map(textOf);
    expect(texts).toEqual(texts.map((_, n) => JSON.stringify({ n })));
  });
});

/** A port that nobody uses at the moment. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

describe.each([
  ["streamableHttp", "mcp"],
  ["sse", "sse"],
] as const)("the reference server by %s", (transport, path) => {
  const program = join(root, "node_modules/@modelcontextprotocol/server-everything/dist/index.js");
  let child: ChildProcess;
  let direct: Client;
  let through: RawClient;
  beforeAll(async () => {
    const port = await freePort();
    child = spawn(process.execPath, [program, transport], {
      env: { ...process.env, PORT: String(port) },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const url = new URL(`http://127.0.0.1:${port}/${path}`);
    const answers = async (): Promise<boolean> =>
      fetch(url.origin).then(
        () => true,
        () => false,
      );
    while (!(await answers())) await new Promise((resolve) => setTimeout(resolve, 50));
    direct = new Client({ name: "direct", version: "1.0.0" });
    await direct.connect(
      transport === "sse" ? new SSEClientTransport(url) : new StreamableHTTPClientTransport(url),
    );
    const type = transport === "sse" ? "sse" : "http";
    const file = configFile({ mcpServers: { up: { type, url: url.href } } }, afterAll);
    through = startGateway(file, {}, afterAll);
    await through.initialize();
  });
  afterAll(async () => {
    await direct.close();
    child.kill("SIGKILL");
  });

  it("lists the same tools, prompts and resources", async () => {
    const [{ tools }, { prompts }, { resources }] = await Promise.all([
      direct.listTools(),
      direct.listPrompts(),
      direct.listResources(),
    ]);
    const got = (await through.tools()).filter(({ name }) => String(name).startsWith("up__"));
    expect(got.map(({ name }) => name)).toEqual(tools.map(({ name }) => `up__${name}`));
    expect(got.map(({ inputSchema }) => inputSchema)).toEqual(
      tools.map(({ inputSchema }) => inputSchema),
    );
    const prompted = (await through.request("prompts/list", {})).result?.["prompts"];
    expect(prompted).toEqual(prompts.map((prompt) => ({ ...prompt, name: `up__${prompt.name}` })));
    const listed = (await through.request("resources/list", {})).result?.["resources"];
    expect(listed).toEqual(resources);
  });

  it.each([
    ["echo", { message: "hallo" }],
    ["get-sum", { a: 2, b: 40 }],
    ["get-tiny-image", {}],
    ["get-structured-content", { location: "Chicago" }],
    ["get-annotated-message", { messageType: "error", includeImage: true }],
    ["get-resource-links", { count: 3 }],
  ])("answers %s as without the gateway", async (name, args) => {
    const want = await direct.callTool({ name, arguments: args });
    expect(await through.call(`up__${name}`, args)).toEqual(want);
  });

  it("brings progress", async () => {
    const name = "trigger-long-running-operation";
    const meta = { progressToken: "mine" };
    const result = await through.call(`up__${name}`, { duration: 0.4, steps: 4 }, meta);
    expect(textOf(result)).toContain("4");
    const notes = through.messages.filter(({ method }) => method === "notifications/progress");
    expect(notes.map(({ params }) => params)).toMatchObject(
      [1, 2, 3, 4].map((progress) => ({ progressToken: "mine", progress, total: 4 })),
    );
  });

  it("brings updates of a subscribed resource", async () => {
    const uri = "demo://resource/dynamic/text/1";
    expect((await through.request("resources/subscribe", { uri })).error).toBeUndefined();
    await through.call("up__toggle-subscriber-updates");
    await through.until(() =>
      through.messages.some(
        ({ method, params }) =>
          method === "notifications/resources/updated" && (params as JsonObject)["uri"] === uri,
      ),
    );
    await through.call("up__toggle-subscriber-updates");
  });
});
