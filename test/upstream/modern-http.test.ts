import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Call, JsonObject, Result } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { cancelled, type CallError } from "../../src/errors.ts";
import { Peers, PeerSlot } from "../../src/peer.ts";
import type { Connection, ServerInfo } from "../../src/upstream/connection.ts";
import { connectHttp } from "../../src/upstream/http.ts";
import { call, ok, outcomeOf } from "../support/calls.ts";

/** A promise that a test resolves. */
function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}

interface Seen {
  readonly message: JsonObject;
  readonly headers: IncomingMessage["headers"];
  readonly path: string | undefined;
}
/** Answers one request. */
type Say = (response: ServerResponse, seen: Seen) => void;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

const json = (response: ServerResponse, body: unknown, status = 200): void => {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
};
const result =
  (members: JsonObject): Say =>
  (response, { message: { id } }) =>
    json(response, { jsonrpc: "2.0", id, result: { resultType: "complete", ...members } });
const discovered = result({ supportedVersions: ["2026-07-28"], capabilities: { tools: {} } });

/** A server in this process that answers by method. */
async function serve(
  says: Record<string, Say>,
): Promise<{ server: Server; url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += String(chunk)));
    request.on("end", () => {
      const message = JSON.parse(body || "{}") as JsonObject;
      const one = { message, headers: request.headers, path: request.url };
      seen.push(one);
      const method =
        typeof message["method"] === "string" ? message["method"] : String(request.method);
      const say = says[method] ?? (method === "server/discover" ? discovered : undefined);
      if (method.startsWith("notifications/")) response.writeHead(202).end();
      else if (say === undefined) response.writeHead(404).end();
      else say(response, one);
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { server, seen, url: `http://127.0.0.1:${port}/mcp` };
}

async function connect(url: string, known?: ServerInfo) {
  const problems: string[] = [];
  const connection: Connection = await connectHttp(
    "web",
    { kind: "http", url, headers: { Authorization: "Bearer secret" } },
    {
      asked: { peer: new PeerSlot({}), peers: new Peers() },
      problem: (problem) => problems.push(problem),
      stderr: () => expect.unreachable(),
      known,
    },
    2000,
    new Cancel(),
  );
  cleanups.push(() => connection.close());
  const use = (over: Partial<Call> = {}): Promise<Result> => connection.handle(call(over));
  return { connection, problems, use };
}

const start = async (says: Record<string, Say>) => {
  const served = await serve(says);
  return { ...served, ...(await connect(served.url)) };
};

describe("a server of the newer era by HTTP", () => {
  it("is told by headers what each request is about, and opens no session", async () => {
    const { connection, seen, use } = await start({ "tools/call": result(ok()) });
    expect(await use({ params: { name: "dö", arguments: {} } })).toEqual(ok());
    await connection.close();
    expect(seen.map(({ message }) => message["method"])).toEqual(["server/discover", "tools/call"]);
    expect(seen[1]?.headers).toMatchObject({
      authorization: "Bearer secret",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": "=?base64?ZMO2?=",
    });
  });

  it("is given arguments in headers, also those that it wants since its list has changed", async () => {
    const inputSchema = (name: string) => ({
      properties: { place: { type: "string", "x-mcp-header": name } },
    });
    let wanted = "Old";
    const { connection, seen, use, problems } = await start({
      "tools/list": (response, one) =>
        result({
          tools: [
            { name: "do", inputSchema: inputSchema(wanted) },
            { name: "odd", inputSchema: inputSchema("no name") },
          ],
        })(response, one),
      "tools/call": (response, one) => {
        const { id } = one.message;
        if (one.headers[`mcp-param-${wanted.toLowerCase()}`] === "here")
          return result(ok())(response, one);
        json(response, { jsonrpc: "2.0", id, error: { code: -32020, message: "headers" } }, 400);
      },
    });
    expect(await connection.list("tools", 1000)).toMatchObject([{ name: "do" }]);
    expect(problems).toEqual([expect.stringContaining("tool odd is left out")]);
    wanted = "New";
    const params = { name: "do", arguments: { place: "here" } };
    expect(await use({ params })).toEqual(ok());
    expect(seen.map(({ message }) => message["method"]).slice(1)).toEqual([
      "tools/list",
      "tools/call",
      "tools/list",
      "tools/call",
    ]);
    expect(problems).toHaveLength(1);
  });

  it("has its own error passed on, whatever the status, and though it has no id", async () => {
    const error = { code: -32602, message: "wrong", data: { why: 1 } };
    const { use } = await start({
      "tools/call": (response, { message: { params } }) =>
        json(
          response,
          { jsonrpc: "2.0", id: null, error },
          Number((params as JsonObject)["status"]),
        ),
    });
    for (const status of [400, 404])
      expect(await outcomeOf(use({ params: { status } }))).toMatchObject({ rpc: error });
    expect(await outcomeOf(use({ params: { status: 429 } }))).toMatchObject({
      code: "rate_limited",
    });
    expect(await outcomeOf(use({ params: { status: 500 } }))).toMatchObject({ outcome: "unknown" });
  });

  it("learns of a cancel by the end of the stream", async () => {
    const closed = deferred();
    const { use, seen } = await start({
      "tools/call": (response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write(": here\n\n");
        response.on("close", () => closed.resolve());
      },
    });
    const signal = new Cancel();
    const outcome = outcomeOf(use({ signal }));
    while (seen.length < 2) await new Promise(setImmediate);
    signal.cancel(cancelled("enough"));
    expect(await outcome).toMatchObject({ code: "cancelled", outcome: "unknown" });
    await closed.promise;
    expect(seen).toHaveLength(2);
  });

  it("tells progress on the stream of the call, and is lost with a stream that breaks, wherever it could go on", async () => {
    const { use, seen } = await start({
      "tools/call": (response, { message: { params } }) => {
        const { progressToken } = (params as JsonObject)["_meta"] as JsonObject;
        const note = {
          jsonrpc: "2.0",
          method: "notifications/progress",
          params: { progressToken, progress: 1 },
        };
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write(`id: 7\ndata: ${JSON.stringify(note)}\n\n`);
        setTimeout(() => response.destroy(), 20);
      },
    });
    const notes: unknown[] = [];
    const outcome = await outcomeOf(use({ onProgress: (progress) => notes.push(progress) }));
    expect(outcome).toMatchObject({ code: "connection_lost", outcome: "unknown" });
    expect(notes).toEqual([{ progress: 1 }]);
    expect(seen).toHaveLength(2);
  });

  it("is followed to another place of its origin, and nowhere else", async () => {
    const elsewhere = await serve({});
    const { use, seen } = await start({
      "tools/call": (response, one) => {
        const { to } = one.message["params"] as { to?: string };
        if (one.path === "/moved") return result(ok("moved"))(response, one);
        response.writeHead(307, { location: to }).end();
      },
    });
    expect(await use({ params: { to: "/moved" } })).toEqual(ok("moved"));
    expect(seen.at(-1)?.headers).toMatchObject({ authorization: "Bearer secret" });
    expect(await outcomeOf(use({ params: { to: elsewhere.url } }))).toMatchObject({
      code: "bad_answer",
    });
    expect(elsewhere.seen).toEqual([]);
  });

  it("has ended when it cannot be reached; what is under way may still be answered", async () => {
    const answer = deferred();
    const { connection, server, use, seen } = await start({
      "tools/call": (response, one) => void answer.promise.then(() => result(ok())(response, one)),
    });
    const slow = use();
    while (seen.length < 2) await new Promise(setImmediate);
    server.close();
    server.closeIdleConnections();
    // A socket that was idle may be taken again before it is seen to be closed.
    while (((await outcomeOf(use())) as CallError).code !== "unavailable");
    expect(await connection.ended).toMatchObject({ code: "unavailable" });
    answer.resolve();
    expect(await slow).toEqual(ok());
    expect(await outcomeOf(use())).toMatchObject({ outcome: "failed" });
  });

  it("has its changes listened to on a stream of their own", async () => {
    const heard: [string, JsonObject][] = [];
    const { connection, seen } = await start({
      "server/discover": result({
        supportedVersions: ["2026-07-28"],
        capabilities: { tools: { listChanged: true } },
      }),
      "subscriptions/listen": (response, { message: { id, params } }) => {
        const tell = (method: string, more: JsonObject = {}): void => {
          const _meta = { "io.modelcontextprotocol/subscriptionId": id };
          const note = { jsonrpc: "2.0", method, params: { ...more, _meta } };
          response.write(`data: ${JSON.stringify(note)}\n\n`);
        };
        const { notifications } = params as JsonObject;
        response.writeHead(200, { "content-type": "text/event-stream" });
        tell("notifications/subscriptions/acknowledged", { notifications });
        tell("notifications/tools/list_changed");
      },
    });
    connection.onNotification((method, params) => heard.push([method, params]));
    while (heard.length === 0) await new Promise(setImmediate);
    expect(heard).toEqual([["notifications/tools/list_changed", {}]]);
    expect(seen[1]?.headers).toMatchObject({ "mcp-method": "subscriptions/listen" });
    expect(connection.inFlight()).toBe(0);
  });
});

describe("a server by HTTP whose era is known", () => {
  const older: ServerInfo = {
    name: "fake",
    version: "1",
    protocolVersion: "2025-11-25",
    capabilities: {},
  };
  const initialized = result({
    protocolVersion: "2025-11-25",
    capabilities: {},
    serverInfo: { name: "fake", version: "1" },
  });

  it("is not probed where that is the older one", async () => {
    const { seen, url } = await serve({ initialize: initialized });
    const { connection } = await connect(url, older);
    expect(connection.info.protocolVersion).toBe("2025-11-25");
    expect(seen[0]?.message["method"]).toBe("initialize");
  });

  it("is used in the newer one when it has come to that", async () => {
    const { seen, url } = await serve({});
    const { connection } = await connect(url, older);
    expect(connection.info.protocolVersion).toBe("2026-07-28");
    expect(seen.map(({ message }) => message["method"])).toEqual(["initialize", "server/discover"]);
  });

  it("is used in the newer one also where it says so with a status of success", async () => {
    const unknown: Say = (response, { message: { id } }) =>
      json(response, { jsonrpc: "2.0", id, error: { code: -32601, message: "unknown" } });
    const { seen, url } = await serve({ initialize: unknown });
    const { connection } = await connect(url, older);
    expect(connection.info.protocolVersion).toBe("2026-07-28");
    expect(seen.map(({ message }) => message["method"])).toEqual(["initialize", "server/discover"]);
  });

  it("is not taken for one by SSE where it refuses both", async () => {
    const refuse: Say = (response, { message: { id } }) =>
      json(response, { jsonrpc: "2.0", id, error: { code: -32603, message: "not set up" } });
    const { seen, url } = await serve({ initialize: refuse, "server/discover": refuse });
    await expect(connect(url, older)).rejects.toThrow("not set up");
    expect(seen.map(({ message }) => message["method"])).toEqual(["initialize", "server/discover"]);
  });

  it("is used in the older one when it has gone back to that", async () => {
    const unknown: Say = (response) => json(response, { error: "what?" }, 400);
    const { url } = await serve({ "server/discover": unknown, initialize: initialized });
    const { connection } = await connect(url, { ...older, protocolVersion: "2026-07-28" });
    expect(connection.info.protocolVersion).toBe("2025-11-25");
  });
});
