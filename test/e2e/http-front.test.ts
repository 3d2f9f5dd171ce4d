import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import type { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { holdfast } from "../support/command.ts";
import { atTestEnd, configFile, odd, root } from "../support/gateway.ts";
import {
  initialize,
  listen,
  openSession,
  raw,
  sdkClient,
  serveHttp,
} from "../support/http-gateway.ts";

const everything = {
  command: process.execPath,
  args: [join(root, "node_modules/@modelcontextprotocol/server-everything/dist/index.js"), "stdio"],
  // Part of what its manifest is found by.
  cwd: root,
};
type Progress = { readonly progress: number } | undefined;
const oddGateway = { mcpServers: { odd: odd() } };

const call = async (client: Client, name: string, args: JsonObject = {}): Promise<string> =>
  textsOf(await client.callTool({ name, arguments: args }));

/** The texts of all blocks. */
const textsOf = ({ content }: JsonObject): string =>
  (content as { text?: string }[]).map(({ text }) => text).join("\n");

const toolsCall = (id: number, name: string, args: JsonObject = {}, meta?: JsonObject) => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name, arguments: args, ...(meta !== undefined && { _meta: meta }) },
});

/** For what comes to hold on a machine that may have other things to do. */
const patient = { timeout: 20_000 };

/** A client that can be asked for everything, and answers with its name. */
const answering = (url: string, name: string) =>
  sdkClient(url, { sampling: {}, elicitation: { form: {} }, roots: {} }, (client) => {
    client.setRequestHandler(CreateMessageRequestSchema, () => ({
      role: "assistant",
      model: "m",
      content: { type: "text", text: `sampled by ${name}` },
    }));
    client.setRequestHandler(ElicitRequestSchema, () => ({
      action: "accept",
      content: { name: `elicited from ${name}` },
    }));
    client.setRequestHandler(ListRootsRequestSchema, () => ({
      roots: [{ uri: `file:///${name}`, name }],
    }));
  });

describe("a client of the SDK", () => {
  it("lists, calls, is told of progress, and takes a call back", async () => {
    const { url } = await serveHttp(oddGateway);
    const { client } = await sdkClient(url);
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toContain("odd__echo");
    expect(await call(client, "odd__echo", { a: 1 })).toBe('{"a":1}');
    const progress: number[] = [];
    await client.callTool({ name: "odd__steps", arguments: { count: 3, everyMs: 10 } }, undefined, {
      onprogress: (note) => progress.push(note.progress),
    });
    expect(progress).toEqual([1, 2, 3]);
    const stop = new AbortController();
    const slow = client.callTool({ name: "odd__never", arguments: {} }, undefined, {
      signal: stop.signal,
    });
    stop.abort("enough");
    await expect(slow).rejects.toThrow("enough");
    await expect.poll(() => call(client, "odd__cancelled"), patient).toContain("requestId");
  });

  it("shares the servers with others, and none gets another's answers", async () => {
    const { url } = await serveHttp(oddGateway);
    const clients = await Promise.all(Array.from({ length: 5 }, () => sdkClient(url)));
    const pids = await Promise.all(clients.map(({ client }) => call(client, "odd__pid")));
    expect(new Set(pids).size).toBe(1);
    const answers = await Promise.all(
      clients.flatMap(({ client }, index) =>
        Array.from({ length: 20 }, (_, n) => call(client, "odd__echo", { index, n })),
      ),
    );
    expect(answers).toEqual(
      clients.flatMap((_, index) =>
        Array.from({ length: 20 }, (__, n) => JSON.stringify({ index, n })),
      ),
    );
  });

  it("starts anew when the gateway was started again", async () => {
    const first = await serveHttp({ ...oddGateway });
    const id = await openSession(first.url);
    const { port } = new URL(first.url);
    expect(await first.stop()).toBe(0);
    const { url } = await serveHttp(
      { ...oddGateway, http: { port: Number(port) } },
      { state: first.state },
    );
    expect(url).toBe(first.url);
    const answer = await raw(url, {
      headers: { "mcp-session-id": id },
      body: toolsCall(1, "odd__echo"),
    });
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([
      404,
      { id: 1, error: { code: -32001 } },
    ]);
    const { client } = await sdkClient(url);
    expect(await call(client, "odd__echo", { again: true })).toBe('{"again":true}');
  });
});

describe("a server that asks its client", () => {
  const ask = async (client: Client): Promise<string> =>
    [
      await call(client, "up__trigger-sampling-request", { prompt: "hi", maxTokens: 10 }),
      await call(client, "up__get-roots-list"),
      await call(client, "up__trigger-elicitation-request"),
    ].join(" ");

  it("asks the one whose call is under way, though several are there", async () => {
    const { url, state } = await serveHttp({ mcpServers: { up: everything } });
    const names = ["anna", "ben", "cleo"];
    const clients = await Promise.all(names.map((name) => answering(url, name)));
    const [first] = clients;
    // It cannot be known that a server asks before it has.
    if (first !== undefined) await ask(first.client);
    const heard = await Promise.all(clients.map(({ client }) => ask(client)));
    const expectOwn = (texts: readonly string[]): void =>
      names.forEach((name, index) => {
        expect(texts[index]).toContain(`sampled by ${name}`);
        expect(texts[index]).toContain(`file:///${name}`);
        expect(texts[index]).toContain(`elicited from ${name}`);
        for (const other of names.filter((one) => one !== name))
          expect(texts[index]).not.toContain(other);
      });
    expectOwn(heard);
    // What was learnt about the server outlives the gateway.
    const again = await serveHttp({ mcpServers: { up: everything } }, { state });
    const later = await Promise.all(names.map((name) => answering(again.url, name)));
    expectOwn(await Promise.all(later.map(({ client }) => ask(client))));
  });

  it("by HTTP is known to mean the client on whose answer its question comes, from the first on", async () => {
    const port = await freePort();
    const server = spawn(process.execPath, [String(everything.args[0]), "streamableHttp"], {
      env: { ...process.env, PORT: String(port) },
    });
    atTestEnd(() => server.kill());
    await once(server.stderr, "data");
    const { url } = await serveHttp({
      mcpServers: { up: { url: `http://127.0.0.1:${port}/mcp` } },
    });
    const names = ["anna", "ben", "cleo"];
    const clients = await Promise.all(names.map((name) => answering(url, name)));
    await clients[0]?.client.listTools();
    const heard = await Promise.all(
      clients.map(({ client }) =>
        call(client, "up__trigger-sampling-request", { prompt: "hi", maxTokens: 10 }),
      ),
    );
    names.forEach((name, index) => expect(heard[index]).toContain(`sampled by ${name}`));
  });

  it("gets a connection for each client that can be asked, which ends with its session", async () => {
    const { url } = await serveHttp(oddGateway);
    const anna = await answering(url, "anna");
    const ben = await answering(url, "ben");
    const plain = await sdkClient(url);
    const shared = await call(plain.client, "odd__pid");
    expect(await call(anna.client, "odd__pid")).toBe(shared);
    const asked = await call(anna.client, "odd__ask", { method: "roots/list" });
    expect(asked).toContain("file:///anna");
    const pids = await Promise.all([anna, ben].map(({ client }) => call(client, "odd__pid")));
    expect(new Set([shared, ...pids]).size).toBe(3);
    expect(await call(plain.client, "odd__pid")).toBe(shared);
    await anna.transport.terminateSession();
    await expect.poll(() => isAlive(Number(pids[0])), patient).toBe(false);
    expect(isAlive(Number(pids[1]))).toBe(true);
    expect(isAlive(Number(shared))).toBe(true);
  });

  it("is told why where it cannot be known whom it means, and then each client has its own", async () => {
    const { url } = await serveHttp(oddGateway);
    const anna = await answering(url, "anna");
    const ben = await answering(url, "ben");
    const others = ben.client.callTool({ name: "odd__sleep", arguments: { ms: 1500 } });
    const refused = await call(anna.client, "odd__ask", { method: "roots/list" });
    expect(refused).toContain("does not show which one is meant");
    expect(await call(anna.client, "odd__ask", { method: "roots/list" })).toContain("file:///anna");
    await others;
  });
});

describe("what belongs to one session at a server that all share", () => {
  const config = { mcpServers: { odd: odd({ resources: "x:1,x:2", logging: "on" }) } };

  it("is told once, ends with the last that wants it, and reaches those alone", async () => {
    const { url } = await serveHttp(config);
    const updates: string[] = [];
    const [anna, ben, cleo] = await Promise.all(
      ["anna", "ben", "cleo"].map((name) =>
        sdkClient(url, {}, (client) =>
          client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
            updates.push(`${name} ${params.uri}`);
          }),
        ),
      ),
    );
    if (anna === undefined || ben === undefined || cleo === undefined) throw new Error("no client");
    await anna.client.listTools();
    await anna.client.subscribeResource({ uri: "x:1" });
    await ben.client.subscribeResource({ uri: "x:1" });
    await call(cleo.client, "odd__update", { uri: "x:1" });
    await expect.poll(() => updates.toSorted(), patient).toEqual(["anna x:1", "ben x:1"]);
    await ben.client.unsubscribeResource({ uri: "x:1" });
    await call(cleo.client, "odd__update", { uri: "x:1" });
    await expect
      .poll(() => updates.toSorted(), patient)
      .toEqual(["anna x:1", "anna x:1", "ben x:1"]);
    await anna.transport.terminateSession();
    await expect
      .poll(() => call(cleo.client, "odd__told"), patient)
      .toBe('[["resources/subscribe","x:1"],["resources/unsubscribe","x:1"]]');
  });

  it("is the level that says most, of which each gets what it asked for", async () => {
    const { url } = await serveHttp(config);
    const heard: string[] = [];
    const [anna, ben] = await Promise.all(
      ["anna", "ben"].map((name) =>
        sdkClient(url, {}, (client) =>
          client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
            heard.push(`${name} ${params.level} ${String(params.data)}`);
          }),
        ),
      ),
    );
    if (anna === undefined || ben === undefined) throw new Error("no client");
    await anna.client.listTools();
    await anna.client.setLoggingLevel("debug");
    await ben.client.setLoggingLevel("error");
    await expect
      .poll(() => call(anna.client, "odd__told"), patient)
      .toBe('[["logging/setLevel","debug"]]');
    await call(anna.client, "odd__log", { level: "info", data: "of anna" });
    await call(ben.client, "odd__log", { level: "info", data: "of ben" });
    await call(ben.client, "odd__log", { level: "error", data: "of ben" });
    await expect.poll(() => heard, patient).toEqual(["anna info of anna", "ben error of ben"]);
    await anna.transport.terminateSession();
    await expect
      .poll(() => call(ben.client, "odd__told"), patient)
      .toBe('[["logging/setLevel","debug"],["logging/setLevel","error"]]');
  });
});

describe("a stream", () => {
  it("is not begun for an answer that comes at once", async () => {
    const { url } = await serveHttp(oddGateway);
    const id = await openSession(url);
    const answer = await raw(url, {
      headers: { "mcp-session-id": id },
      body: toolsCall(7, "odd__echo", { a: 1 }),
    });
    expect(answer.headers["content-type"]).toBe("application/json");
    expect(JSON.parse(answer.text)).toMatchObject({ id: 7, result: {} });
  });

  it("goes on where it broke off, with what came meanwhile", async () => {
    const { url } = await serveHttp(oddGateway);
    const session = { "mcp-session-id": await openSession(url) };
    const first = await listen(url, {
      method: "POST",
      headers: session,
      body: toolsCall(7, "odd__steps", { count: 6, everyMs: 100 }, { progressToken: "p" }),
    });
    expect(first.headers["content-type"]).toBe("text/event-stream");
    await first.until(2);
    first.cut();
    const last = String(first.ids.at(-1));
    const second = await listen(url, { headers: { ...session, "last-event-id": last } });
    await second.ended;
    const seen = [...first.messages, ...second.messages];
    expect(seen.map(({ params }) => (params as JsonObject | undefined)?.["progress"])).toEqual([
      1,
      2,
      3,
      4,
      5,
      6,
      undefined,
    ]);
    expect(seen.at(-1)).toMatchObject({ id: 7, result: {} });
    // From its beginning, which is told before anything is sent, all of it can be had again.
    const whole = await listen(url, {
      headers: { ...session, "last-event-id": String(first.ids[0]) },
    });
    await whole.ended;
    expect(whole.messages).toEqual(seen);
    const over = await raw(url, {
      method: "GET",
      headers: { ...session, "last-event-id": String(second.ids.at(-1)) },
    });
    expect(over.status).toBe(204);
  });

  it("keeps the answer of a call whose client went without taking it back", async () => {
    const { url } = await serveHttp(oddGateway);
    const session = { "mcp-session-id": await openSession(url) };
    const slow = await listen(url, {
      method: "POST",
      headers: session,
      body: toolsCall(7, "odd__sleep", { ms: 2500 }),
    });
    await expect.poll(() => slow.ids.length, patient).toBe(1);
    slow.cut();
    const back = await listen(url, {
      headers: { ...session, "last-event-id": String(slow.ids[0]) },
    });
    await back.ended;
    expect(back.messages).toMatchObject([{ id: 7, result: {} }]);
    expect(textsOf(await cancelledAt(url, session))).toBe("[]");
  });

  it("for what belongs to no request gets what came before it was opened", async () => {
    const { url } = await serveHttp(oddGateway);
    const session = { "mcp-session-id": await openSession(url) };
    await raw(url, { headers: session, body: { jsonrpc: "2.0", id: 1, method: "tools/list" } });
    const change = toolsCall(2, "odd__change", { tools: ["echo", "change"] });
    await raw(url, { headers: session, body: change });
    const { client } = await sdkClient(url);
    await expect
      .poll(
        async () => (await client.listTools()).tools.some(({ name }) => name === "odd__pid"),
        patient,
      )
      .toBe(false);
    const stream = await listen(url, { headers: session });
    await stream.until(1);
    expect(stream.messages).toMatchObject([{ method: "notifications/tools/list_changed" }]);
    expect(stream.headers).toMatchObject({
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    });
  });

  it("is kept alive while nothing is sent", async () => {
    const { url } = await serveHttp({ ...oddGateway, http: { keepAliveMs: 50 } });
    const session = { "mcp-session-id": await openSession(url) };
    const stream = await listen(url, { headers: session });
    await expect.poll(() => stream.text(), patient).toContain(": alive\n\n: alive\n\n");
  });

  it("sends an older client no event without data", async () => {
    const { url } = await serveHttp(oddGateway);
    const session = { "mcp-session-id": await openSession(url, {}, "2025-06-18") };
    const slow = await listen(url, {
      method: "POST",
      headers: session,
      body: toolsCall(7, "odd__sleep", { ms: 700 }),
    });
    await slow.ended;
    expect(slow.text()).toMatch(/^event: message\nid: .*\ndata: .*\n\n$/);
  });
});

describe("a batch", () => {
  const batch = [
    toolsCall(1, "odd__echo", { n: 1 }),
    { jsonrpc: "2.0", method: "notifications/roots/list_changed" },
    toolsCall(2, "odd__echo", { n: 2 }),
  ];

  it("is answered as one by the version that has them", async () => {
    const { url } = await serveHttp({ ...oddGateway, http: { maxBatch: 3 } });
    const session = { "mcp-session-id": await openSession(url, {}, "2025-03-26") };
    const { text } = await raw(url, { headers: session, body: batch });
    expect((JSON.parse(text) as JsonObject[]).map(({ id }) => id)).toEqual([1, 2]);
    const notes = await raw(url, { headers: session, body: batch.slice(1, 2) });
    expect([notes.status, notes.text]).toEqual([202, ""]);
    const large = await raw(url, { headers: session, body: [...batch, ...batch] });
    expect([large.status, large.text]).toEqual([400, expect.stringContaining("at most 3")]);
  });

  it("is refused by later ones", async () => {
    const { url } = await serveHttp(oddGateway);
    const session = { "mcp-session-id": await openSession(url) };
    const answer = await raw(url, { headers: session, body: batch });
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining("no batches")]);
  });
});

describe("a session", () => {
  it("is needed for all but initialize, and ends when its client says so", async () => {
    const { url } = await serveHttp(oddGateway);
    const list = { jsonrpc: "2.0", id: 1, method: "tools/list" };
    expect((await raw(url, { body: list })).status).toBe(400);
    const session = { "mcp-session-id": await openSession(url) };
    expect((await raw(url, { headers: session, body: list })).status).toBe(200);
    const again = await raw(url, { headers: session, body: initialize() });
    expect([again.status, again.text]).toEqual([400, expect.stringContaining("is initialised")]);
    expect((await raw(url, { method: "DELETE", headers: session })).status).toBe(204);
    expect((await raw(url, { headers: session, body: list })).status).toBe(404);
    expect((await raw(url, { method: "DELETE", headers: session })).status).toBe(404);
    expect((await raw(url, { method: "GET", headers: { ...session, accept: "*/*" } })).status).toBe(
      404,
    );
  });

  it.each([
    ["its parameters are wrong", { ...initialize(), params: {} }],
    ["its id is", initialize({}, 1.5)],
    ["it has a member of its own", { ...initialize(), extra: 1 }],
  ])("is not made where initialize fails, as %s", async (_, wrong) => {
    const { url } = await serveHttp({ ...oddGateway, http: { maxSessions: 1 } });
    const answer = await raw(url, { body: wrong });
    expect(answer.headers["mcp-session-id"]).toBeUndefined();
    expect(JSON.parse(answer.text)).toMatchObject({ id: wrong["id"], error: {} });
    const { headers } = await raw(url, { body: initialize() });
    expect(headers["mcp-session-id"]).toMatch(/^[\w-]{32}$/);
  });

  it("ends when it was idle for too long, and not while anything is open", async () => {
    const { url } = await serveHttp({ ...oddGateway, http: { sessionIdleMs: 300 } });
    const idle = { "mcp-session-id": await openSession(url) };
    const busy = { "mcp-session-id": await openSession(url) };
    const listening = { "mcp-session-id": await openSession(url) };
    const stream = await listen(url, { headers: listening });
    const slow = raw(url, { headers: busy, body: toolsCall(1, "odd__sleep", { ms: 1500 }) });
    const ping = { jsonrpc: "2.0", id: 2, method: "ping" };
    expect((await slow).text).toContain("slept");
    expect((await raw(url, { headers: idle, body: ping })).status).toBe(404);
    expect((await raw(url, { headers: listening, body: ping })).status).toBe(200);
    stream.cut();
    const delayed = async (): Promise<number> => {
      await new Promise((resolve) => setTimeout(resolve, 800));
      return (await raw(url, { headers: listening, body: ping })).status;
    };
    expect(await delayed()).toBe(404);
  });

  it("gives way to a new one where there are too many, unless all are busy", async () => {
    const { url } = await serveHttp({ ...oddGateway, http: { maxSessions: 2 } });
    const busy = { "mcp-session-id": await openSession(url) };
    await listen(url, { headers: busy });
    const idle = { "mcp-session-id": await openSession(url) };
    const third = { "mcp-session-id": await openSession(url) };
    const ping = { jsonrpc: "2.0", id: 2, method: "ping" };
    expect((await raw(url, { headers: idle, body: ping })).status).toBe(404);
    expect((await raw(url, { headers: busy, body: ping })).status).toBe(200);
    await listen(url, { headers: third });
    const refused = await raw(url, { body: initialize() });
    expect([refused.status, refused.headers["retry-after"]]).toEqual([503, "10"]);
  });

  it("may have only so many requests under way, of different ids", async () => {
    const { url } = await serveHttp({ ...oddGateway, http: { maxInFlight: 2 } });
    const session = { "mcp-session-id": await openSession(url) };
    const slow = [1, 2].map((id) =>
      listen(url, {
        method: "POST",
        headers: session,
        body: toolsCall(id, "odd__sleep", { ms: 1500 }),
      }),
    );
    await Promise.all(slow);
    const third = await raw(url, { headers: session, body: toolsCall(3, "odd__echo") });
    expect(third.status).toBe(429);
    const twice = await raw(url, { headers: session, body: toolsCall(1, "odd__echo") });
    expect([twice.status, twice.text]).toEqual([400, expect.stringContaining("under way")]);
  });

  it("that reads too slowly holds nobody else back, and gets the rest when it comes back", async () => {
    const { url } = await serveHttp({ ...oddGateway, http: { replayBytes: 50_000_000 } });
    const slow = { "mcp-session-id": await openSession(url) };
    const { client } = await sdkClient(url);
    const count = 60_000;
    const { readAll } = unread(
      url,
      slow,
      toolsCall(1, "odd__burst", { count }, { progressToken: "p" }),
    );
    for (let n = 0; n < 20; n++)
      expect(await call(client, "odd__echo", { n })).toBe(JSON.stringify({ n }));
    const text = await readAll();
    let last = [...text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? "";
    const seen = text.match(/notifications\/progress/g)?.length ?? 0;
    expect(seen).toBeLessThan(count - 20_000);
    const rest: JsonObject[] = [];
    while (rest.at(-1)?.["id"] !== 1) {
      const more = await listen(url, { headers: { ...slow, "last-event-id": last } });
      await more.ended;
      rest.push(...more.messages);
      last = more.ids.at(-1) ?? last;
    }
    // Of so many not all can be kept, but those that come do so in order, and none comes twice.
    const numbers = rest.flatMap(({ params }) => (params as Progress)?.progress ?? []);
    expect(numbers[0]).toBeGreaterThan(seen);
    expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
    expect(numbers.at(-1)).toBe(count);
  });
});

describe("the gateway", () => {
  it("tells whether it is alive and ready", async () => {
    const { url } = await serveHttp({ mcpServers: { odd: odd({ "start-delay": 700 }) } });
    const get = async (path: string): Promise<number> =>
      (await raw(url, { method: "GET", path })).status;
    expect(await get("/healthz")).toBe(200);
    expect(await get("/readyz")).toBe(503);
    await expect.poll(() => get("/readyz"), patient).toBe(200);
    expect(await get("/")).toBe(404);
  });

  it("finishes what is under way when it is told to end, and takes nothing new", async () => {
    const gateway = await serveHttp(oddGateway);
    const { url } = gateway;
    const session = { "mcp-session-id": await openSession(url) };
    const slow = await listen(url, {
      method: "POST",
      headers: session,
      body: toolsCall(1, "odd__sleep", { ms: 2000 }),
    });
    const stream = await listen(url, { headers: session });
    const stopped = gateway.stop();
    await expect
      .poll(async () => (await raw(url, { method: "GET", path: "/readyz" })).status, patient)
      .toBe(503);
    expect((await raw(url, { method: "GET", path: "/healthz" })).status).toBe(200);
    const late = await raw(url, { headers: session, body: toolsCall(2, "odd__echo") });
    expect([late.status, late.headers["retry-after"]]).toEqual([503, "5"]);
    await Promise.all([slow.ended, stream.ended]);
    expect(slow.messages).toMatchObject([{ id: 1, result: {} }]);
    expect(await stopped).toBe(0);
  });

  it("does not wait for longer than it may", async () => {
    const gateway = await serveHttp({ ...oddGateway, http: { drainMs: 100 } });
    const session = { "mcp-session-id": await openSession(gateway.url) };
    const never = await listen(gateway.url, {
      method: "POST",
      headers: session,
      body: toolsCall(1, "odd__never"),
    });
    expect(await gateway.stop("SIGINT")).toBe(0);
    await never.ended;
    expect(never.messages).toEqual([]);
  });

  it("says so where it cannot listen, and starts nothing without a token beyond this machine", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    const inUse = holdfast([
      "serve",
      "--http",
      "--config",
      configFile({ mcpServers: {}, http: { port } }),
    ]);
    taken.close();
    expect([inUse.code, inUse.err]).toEqual([
      2,
      expect.stringContaining(`http.port: port ${port} of 127.0.0.1 is in use`),
    ]);
    const open = holdfast([
      "serve",
      "--http",
      "--config",
      configFile({ mcpServers: {}, http: { host: "0.0.0.0" } }),
    ]);
    expect([open.code, open.err]).toEqual([2, expect.stringContaining("http.tokens: needed")]);
    const misplaced = holdfast(["tools", "--http"]);
    expect([misplaced.code, misplaced.err]).toEqual([
      2,
      expect.stringContaining("--http belongs to holdfast serve"),
    ]);
  });
});

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Posts a message and reads nothing of what comes, until it is told to. */
function unread(url: string, headers: Record<string, string>, message: JsonObject) {
  const { hostname, port } = new URL(url);
  const body = JSON.stringify(message);
  const socket = connect(Number(port), hostname);
  socket.pause();
  const lines = Object.entries({
    host: "localhost",
    accept: "application/json, text/event-stream",
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`);
  socket.write(["POST /mcp HTTP/1.1", ...lines, "", body].join("\r\n"));
  return {
    readAll: async (): Promise<string> => {
      let text = "";
      socket.setEncoding("utf8");
      socket.on("data", (chunk: string) => (text += chunk));
      socket.resume();
      await once(socket, "close");
      return text;
    },
  };
}

/** What the server was told to take back. */
async function cancelledAt(url: string, headers: Record<string, string>): Promise<JsonObject> {
  const { text } = await raw(url, { headers, body: toolsCall(99, "odd__cancelled") });
  return (JSON.parse(text) as { result: JsonObject }).result;
}
