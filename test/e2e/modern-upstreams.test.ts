import { spawn } from "node:child_process";
import { once } from "node:events";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ListRootsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, it, vi } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { atTestEnd, configFile, main, startGateway, temporaryFolder } from "../support/gateway.ts";
import { ModernServer, type Way } from "../support/modern-server.ts";
import { textOf, type RawClient } from "../support/raw-client.ts";

const capabilities = {
  roots: { listChanged: true },
  sampling: {},
  elicitation: { form: {}, url: {} },
};
const answers: RawClient["answers"] = {
  "roots/list": () => ({ roots: [{ uri: "file:///work" }] }),
  "sampling/createMessage": () => ({
    role: "assistant",
    model: "test-model",
    content: { type: "text", text: "4" },
  }),
  "elicitation/create": ({ mode, elicitationId }) =>
    mode === "url" && typeof elicitationId === "string"
      ? { action: "accept" }
      : { action: "accept", content: { sure: true } },
};

/** A client of the older era that can answer everything, and a server of the newer one. */
async function start(way: Way, options: readonly string[] = [], can: JsonObject = capabilities) {
  const server = await ModernServer.start(way, options);
  const file = configFile({ mcpServers: { m: server.config }, builtins: ["status"] });
  const state = temporaryFolder();
  const open = async (): Promise<RawClient> => {
    const client = startGateway(file, { HOLDFAST_STATE_DIR: state });
    Object.assign(client.answers, answers);
    await client.initialize(can);
    await client.tools();
    return client;
  };
  return { server, open, client: await open() };
}

const notesOf = (client: RawClient, method: string): readonly unknown[] =>
  client.messages.filter((message) => message["method"] === method).map(({ params }) => params);
const toldOf = (client: RawClient, method: string, count = 1): Promise<void> =>
  client.until(() => notesOf(client, method).length >= count);

describe.each<Way>([
  ["stdio", "modern"],
  ["stdio", "dual"],
  ["http", "modern"],
  ["http", "dual"],
])("a server by %s that is %s", (...way) => {
  it("is used in the newer era, for all that it has, by a client of the older one", async () => {
    const { client, server } = await start(way);
    const names = (await client.tools()).map(({ name }) => name);
    expect(names).toContain("m__echo");
    expect(names.includes("m__misplaced")).toBe(way[0] === "stdio");
    const echoed = await client.call("m__echo", { text: "hi" });
    expect(textOf(echoed)).toBe("hi");
    expect(echoed).not.toHaveProperty("resultType");
    expect(JSON.parse(textOf(await client.call("m__envelope")))).toMatchObject({
      "io.modelcontextprotocol/clientCapabilities": { ...capabilities, roots: {} },
    });
    expect(textOf(await client.call("m__large", { size: 100_000 }))).toHaveLength(100_000);
    expect((await client.request("resources/read", { uri: "note://one" })).result).toMatchObject({
      contents: [{ text: "one" }],
      cacheScope: expect.any(String),
    });
    const prompt = await client.request("prompts/get", {
      name: "m__greet",
      arguments: { word: "hello" },
    });
    expect(JSON.stringify(prompt.result)).toContain("hello");
    const completion = await client.request("completion/complete", {
      ref: { type: "ref/prompt", name: "m__greet" },
      argument: { name: "word", value: "hel" },
    });
    expect(completion.result).toMatchObject({ completion: { values: ["hello", "help"] } });
    expect(server.count("initialize") + server.count("POST of the older era")).toBe(0);
    expect(server.count("start")).toBe(1);
  });

  it("is asked for nothing of the older era when it is started again, and told again what it was told", async () => {
    const { client, server, open } = await start(way);
    await client.close();
    const again = await open();
    expect(JSON.stringify(again.messages[0])).toContain("Be modern.");
    await again.request("resources/subscribe", { uri: "note://one" });
    if (way[0] === "stdio") {
      const pid = Number(textOf(await again.call("m__pid")));
      process.kill(pid, "SIGKILL");
      await server.until((got) => got.filter((one) => one.startsWith("start")).length === 3);
    } else {
      await again.call("m__break_streams");
      await server.until((got) => got.filter((one) => one === "subscriptions/listen").length >= 5);
    }
    await again.call("m__touch");
    await toldOf(again, "notifications/resources/updated");
    expect(server.count("initialize") + server.count("POST of the older era")).toBe(0);
  });
});

describe.each<Way>([
  ["stdio", "modern"],
  ["http", "modern"],
])("a call to a server by %s that is %s", (...way) => {
  it("tells progress and log messages, and learns of a cancel", async () => {
    const { client, server } = await start(way);
    await client.call("m__steps", { count: 3 }, { progressToken: "p" });
    expect(notesOf(client, "notifications/progress")).toEqual(
      [1, 2, 3].map((progress) => ({ progressToken: "p", progress, total: 3 })),
    );
    await client.call("m__log");
    await client.request("logging/setLevel", { level: "info" });
    await client.call("m__log");
    expect(notesOf(client, "notifications/message")).toEqual([
      { level: "info", data: "something happened", logger: "m" },
    ]);
    const { id } = client.request("tools/call", { name: "m__never", arguments: {} });
    await server.until((got) => got.includes("call of never"));
    client.send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: id } });
    await server.until((got) => got.includes("cancel of never"));
  });

  it.each([false, true])(
    "has what it needs to know asked of the client, one by one: %j",
    async (oneByOne) => {
      const { client, server } = await start(way);
      const what = ["confirm", "visit", "think", "folders"];
      expect(JSON.parse(textOf(await client.call("m__ask", { what, oneByOne })))).toEqual({
        confirm: { action: "accept", content: { sure: true } },
        visit: { action: "accept" },
        think: { role: "assistant", model: "test-model", content: { type: "text", text: "4" } },
        folders: { roots: [{ uri: "file:///work" }] },
      });
      expect(server.count("tools/call")).toBe(oneByOne ? 5 : 2);
      const { result } = await client.request("prompts/get", {
        name: "m__greet",
        arguments: { word: "ask" },
      });
      expect(JSON.stringify(result)).toContain("ask true");
    },
  );

  it("says what it would need of a client that cannot be asked", async () => {
    const { client } = await start(way, [], {});
    // The SDK of this server looks at what the client can do by itself.
    const result = await client.call("m__ask", { what: ["think"] });
    expect(JSON.stringify(result)).toMatch(/sampling/i);
  });

  it("tells of changes of its lists, and of resources while they are subscribed to", async () => {
    const { client } = await start(way);
    await client.call("m__grow", { name: "fresh" });
    await toldOf(client, "notifications/tools/list_changed");
    expect(textOf(await client.call("m__fresh"))).toBe("fresh");
    await client.call("m__touch");
    const uri = "note://one";
    expect((await client.request("resources/subscribe", { uri })).result).toEqual({});
    await client.call("m__touch");
    await toldOf(client, "notifications/resources/updated");
    expect((await client.request("resources/unsubscribe", { uri })).result).toEqual({});
    await client.call("m__touch");
    await client.call("m__log");
    expect(notesOf(client, "notifications/resources/updated")).toEqual([{ uri }]);
  });
});

describe("a server whose era is not known", () => {
  it("that ends at the probe is initialised the next time, and every time after that", async () => {
    const { server, client, open } = await start(["stdio", "dual"], ["--die-at=server/discover"]);
    expect(textOf(await client.call("m__echo", { text: "hi" }))).toBe("hi");
    expect(server.count("server/discover")).toBe(1);
    await client.close();
    const again = await open();
    expect(textOf(await again.call("m__echo", { text: "hi" }))).toBe("hi");
    expect(server.count("server/discover")).toBe(1);
    expect(server.count("start")).toBe(3);
  });

  it("that starts slowly is used as it can be, and in the newer era from the next start on", async () => {
    const { server, client, open } = await start(["stdio", "dual"], ["--slow-start=2500"]);
    expect(textOf(await client.call("m__envelope"))).toBe("{}");
    expect(server.got.slice(1, 3)).toEqual(["server/discover", "initialize"]);
    await client.close();
    const again = await open();
    expect(textOf(await again.call("m__envelope"))).toContain("2026-07-28");
    expect(server.count("initialize")).toBe(1);
    expect(server.count("start")).toBe(2);
  });

  it("that starts slowly and speaks the newer era alone is used in that", async () => {
    const { server, client } = await start(["stdio", "modern"], ["--slow-start=2500"]);
    expect(textOf(await client.call("m__envelope"))).toContain("2026-07-28");
    expect(server.count("start")).toBe(1);
  });
});

describe("several clients of one server of the newer era", () => {
  it("are each asked for their own calls, also where they call the same at once", async () => {
    const server = await ModernServer.start(["stdio", "modern"]);
    const file = configFile({ mcpServers: { m: server.config }, http: { port: 0 } });
    const url = await serveHttp(file);
    const clients = await Promise.all(
      ["Ada", "Bob", "Cleo"].map(async (name) => {
        const client = new Client({ name, version: "1" }, { capabilities: { roots: {} } });
        client.setRequestHandler(ListRootsRequestSchema, async () => {
          // All have called by then.
          await server.until(() => server.count("tools/call") >= 1);
          return { roots: [{ uri: `file:///${name}` }] };
        });
        await client.connect(new StreamableHTTPClientTransport(new URL(url)));
        atTestEnd(() => client.close());
        return client;
      }),
    );
    const results = await Promise.all(
      clients.map((client) =>
        client.callTool({ name: "m__ask_read", arguments: { what: ["folders"] } }),
      ),
    );
    expect(results.map((result) => textOf(result as JsonObject))).toEqual(
      ["Ada", "Bob", "Cleo"].map((name) =>
        JSON.stringify({ folders: { roots: [{ uri: `file:///${name}` }] } }),
      ),
    );
    expect(server.count("start")).toBe(1);
  });
});

describe("several clients of a server of the older era that asks", () => {
  const open = async (over: JsonObject = {}) => {
    const server = await ModernServer.start(["stdio", "dual"], ["--die-at=server/discover"]);
    const mcpServers = { m: { ...server.config, ...over } };
    const url = await serveHttp(configFile({ mcpServers, http: { port: 0 } }));
    const join = async (name: string) => {
      const client = new Client({ name, version: "1" }, { capabilities: { roots: {} } });
      client.setRequestHandler(ListRootsRequestSchema, () => ({
        roots: [{ uri: `file:///${name}` }],
      }));
      await client.connect(new StreamableHTTPClientTransport(new URL(url)));
      atTestEnd(() => client.close());
      return async (tool: string, args: JsonObject = {}) =>
        textOf(await client.callTool({ name: `m__${tool}`, arguments: args }));
    };
    return { server, join };
  };
  const folders = { what: ["folders"] };

  it("have connections of their own, for which it is not probed again", async () => {
    const { server, join } = await open();
    for (const name of ["Ada", "Bob"]) {
      const use = await join(name);
      for (let n = 0; n < 2; n++) expect(await use("ask", folders)).toContain(name);
    }
    // One that ended at the probe, one that is everybody's, and one for each.
    expect(server.count("start")).toBe(4);
    expect(server.count("server/discover")).toBe(1);
  });

  it("are not given again what was read on a connection of theirs that was lost", async () => {
    const pid = { effect: "read", policies: { cache: { enabled: true, ttlMs: 600_000 } } };
    const { join } = await open({ tools: { overrides: { pid } } });
    const use = await join("Ada");
    for (let n = 0; n < 2; n++) await use("ask", folders);
    const before = await use("pid");
    expect(await use("pid")).toBe(before);
    process.kill(Number(before), "SIGKILL");
    await vi.waitFor(async () => expect(await use("pid")).not.toBe(before), { timeout: 10_000 });
  });
});

/** `holdfast serve --http` until the test ends; its address. */
async function serveHttp(file: string): Promise<string> {
  const child = spawn(process.execPath, [main, "serve", "--http", "--config", file], {
    env: { ...process.env, HOLDFAST_STATE_DIR: temporaryFolder() },
    stdio: ["ignore", "ignore", "pipe"],
  });
  atTestEnd(async () => {
    child.kill();
    await once(child, "close");
  });
  return new Promise((resolve, reject) => {
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said += String(chunk);
      const url = /serves MCP at (\S+)/.exec(said)?.[1];
      if (url !== undefined) resolve(url);
    });
    child.on("close", () => reject(new Error(said)));
  });
}
