import { afterEach, describe, expect, it } from "vitest";
import type { Call, JsonObject, Progress, Result } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { CallError, cancelled } from "../../src/errors.ts";
import { Peers, PeerSlot } from "../../src/peer.ts";
import type { Connection } from "../../src/upstream/connection.ts";
import { readText } from "../../src/upstream/http-answer.ts";
import { Fetcher } from "../../src/upstream/http-fetch.ts";
import { connectHttp } from "../../src/upstream/http.ts";
import { call, ok, outcomeOf } from "../support/calls.ts";
import { OddHttp } from "../support/odd-http.ts";

const connections: Connection[] = [];
afterEach(async () => {
  await Promise.all(connections.splice(0).map((connection) => connection.close()));
});

const peer = new PeerSlot();
peer.introduce({ roots: {} }, (_upstream, method) => Promise.resolve({ asked: method }));

interface Over {
  readonly kind?: "http" | "sse";
  readonly headers?: Record<string, string>;
  readonly abandon?: Cancel;
}

async function connect(url: string, { kind = "http", headers = {}, abandon }: Over = {}) {
  const problems: string[] = [];
  const connection = await connectHttp(
    "web",
    { kind, url, headers },
    {
      asked: { peer, peers: new Peers() },
      problem: (problem) => problems.push(problem),
      stderr: () => expect.unreachable(),
    },
    2000,
    abandon ?? new Cancel(),
  );
  connections.push(connection);
  const use = (name: string, args: JsonObject = {}, over: Partial<Call> = {}): Promise<Result> =>
    connection.handle(call({ params: { name, arguments: args }, ...over }));
  return { connection, problems, use };
}

const start = async (options: Record<string, string | number> = {}, over: Over = {}) => {
  const server = await OddHttp.start(options);
  const url = over.kind === "sse" ? `${server.origin}/sse` : server.url;
  return { server, ...(await connect(url, over)) };
};

/** The same with a server that other tests use too. */
const join = async (options: Record<string, string | number> = {}, over: Over = {}) => {
  const server = await OddHttp.shared(options);
  return { server, ...(await connect(server.url, over)) };
};

const messageOf = async (promise: Promise<unknown>): Promise<string> =>
  ((await outcomeOf(promise)) as Error).message;

const textOf = (result: Result): string =>
  (result["content"] as readonly { readonly text: string }[])[0]?.text ?? "";

describe.each([
  ["http", { answer: "sse" }],
  ["http", { answer: "json" }],
  ["http", { answer: "sse", session: "off", get: "refuse" }],
  ["http", { answer: "sse", redirect: "/moved" }],
  ["sse", { transport: "sse" }],
] as const)("a server by %s, %j", (kind, options) => {
  it("is initialised, and lists and answers", async () => {
    const { connection, use } = await start(options, { kind });
    expect(connection.info).toMatchObject({ name: "odd-http", protocolVersion: "2025-11-25" });
    const tools = await connection.list("tools", 1000);
    expect(tools.map(({ name }) => name)).toContain("echo");
    await connection.ping(1000);
    expect(await use("echo", { deep: [{ x: null }, "é\u2028😀"] })).toEqual(
      ok('{"deep":[{"x":null},"é\u2028😀"]}'),
    );
    expect(connection.inFlight()).toBe(0);
  });

  it("passes parameters, _meta, errors and large answers as they are", async () => {
    const { use } = await start(options, { kind });
    const params = { name: "params", arguments: { a: 1 }, other: true };
    const meta = { "example.com/a": { b: 1 } };
    expect(JSON.parse(textOf(await use("params", {}, { params, meta })))).toEqual({
      ...params,
      _meta: meta,
    });
    expect(await outcomeOf(use("rpc_error"))).toMatchObject({
      code: "upstream_error",
      outcome: "answered",
      rpc: { code: -32099, message: "MCP error -1: kept", data: { why: [1] } },
    });
    expect(textOf(await use("large", { bytes: 3_000_000 }))).toHaveLength(3_000_000);
  });

  it("says at once when an answer is none", async () => {
    const { use } = await start(options, { kind });
    expect(await outcomeOf(use("null_result"))).toMatchObject({
      code: "bad_answer",
      outcome: "unknown",
    });
  });

  it("is told of a cancel, under the id of the call", async () => {
    const { server, use } = await start(options, { kind });
    const signal = new Cancel();
    const outcome = outcomeOf(use("never", {}, { signal }));
    await server.until(({ requests }) => requests.some(({ tool }) => tool === "never"));
    signal.cancel(cancelled("enough"));
    expect(await outcome).toMatchObject({ code: "cancelled", outcome: "unknown" });
    const seen = await server.until((so) => so.cancelled.length > 0);
    expect(seen.cancelled).toEqual([{ requestId: expect.any(Number), reason: "enough" }]);
    expect(seen.cancelled[0]?.requestId).toBeGreaterThanOrEqual(1e9);
    if (kind === "http") await server.until(({ closed }) => closed.length > 0);
  });

  it("is left when the connection is closed, and calls under way fail", async () => {
    const { connection, use, server } = await start(options, { kind });
    const outcome = outcomeOf(use("never"));
    await server.until(({ requests }) => requests.some(({ tool }) => tool === "never"));
    await connection.close();
    expect(await outcome).toMatchObject({ code: "connection_lost", outcome: "unknown" });
    expect(await connection.ended).toMatchObject({ outcome: "failed" });
    expect(await outcomeOf(use("echo"))).toMatchObject({ outcome: "failed" });
  });
});

describe("the session", () => {
  it("is named with the protocol version in all that follows, and ended with DELETE", async () => {
    const { server, connection, use } = await start();
    const id = textOf(await use("session"));
    await connection.close();
    const { requests } = await server.seen();
    expect(requests.map(({ method }) => method)).toEqual([
      "server/discover",
      "initialize",
      "notifications/initialized",
      "tools/call",
      "DELETE",
    ]);
    for (const { session } of requests.slice(2)) expect(session).toBe(id);
    for (const { version } of requests.slice(2, 4)) expect(version).toBe("2025-11-25");
  });

  it("is left within the limit by a server that does not answer DELETE", async () => {
    const { connection } = await start({ delete: "hang" });
    await connection.close();
    expect(await connection.ended).toMatchObject({ code: "connection_lost" });
  });

  it.each(["404", "400"])(
    "that is forgotten, told with %s, ends the connection, and nothing was done",
    async (forgotten) => {
      const { server, connection, use } = await start({ forgotten });
      await server.act("forget");
      const outcomes = [outcomeOf(use("echo")), outcomeOf(use("echo"))];
      for (const error of await Promise.all(outcomes))
        expect(error).toMatchObject({ code: "unavailable", outcome: "failed", retryAfterMs: 0 });
      expect(await connection.ended).toMatchObject({ code: "unavailable", outcome: "failed" });
      expect(await outcomeOf(use("echo"))).toMatchObject({ outcome: "failed" });
    },
  );

  it("ends without hurting calls that are still being answered", async () => {
    const { server, connection, use } = await start();
    const notes: Progress[] = [];
    const under = use("resumable", { times: 3 }, { onProgress: (note) => notes.push(note) });
    await server.until(({ requests }) => requests.some(({ tool }) => tool === "resumable"));
    await server.act("forget");
    await outcomeOf(use("echo"));
    await connection.ended;
    expect(await under).toEqual(ok("resumed"));
    expect(notes).toHaveLength(3);
  });
});

describe("a call that the server refuses by status", () => {
  const body = (message: string): string =>
    JSON.stringify({ jsonrpc: "2.0", id: null, error: { code: -32000, message } });

  it.each<[number, JsonObject, JsonObject]>([
    [400, { body: body("no such thing") }, { code: "upstream_error", outcome: "failed" }],
    [401, {}, { code: "denied", outcome: "failed" }],
    [403, {}, { code: "denied", outcome: "failed" }],
    [405, {}, { code: "upstream_error", outcome: "failed" }],
    [413, {}, { code: "too_large", outcome: "failed" }],
    [422, {}, { code: "upstream_error", outcome: "failed" }],
    [429, { headers: { "retry-after": "7" } }, { code: "rate_limited", retryAfterMs: 7000 }],
    [429, {}, { code: "rate_limited", outcome: "failed", retryAfterMs: undefined }],
    [429, { headers: { "retry-after": "9999999" } }, { retryAfterMs: 3_600_000 }],
    [503, {}, { code: "unavailable", outcome: "failed" }],
    [
      503,
      {
        headers: {
          date: "Sat, 21 Nov 2026 12:00:00 GMT",
          "retry-after": "Sat, 21 Nov 2026 12:00:05 GMT",
        },
      },
      { code: "unavailable", outcome: "failed", retryAfterMs: 5000 },
    ],
    [500, { body: body("oh no") }, { code: "upstream_error", outcome: "unknown" }],
    [502, {}, { code: "upstream_error", outcome: "unknown" }],
    [504, {}, { code: "upstream_error", outcome: "unknown" }],
  ])("%i with %j is told, and the connection goes on", async (status, more, expected) => {
    const { use } = await join();
    const error = await outcomeOf(use("status", { status, ...more }));
    expect(error).toMatchObject({ upstream: "web", status, ...expected });
    expect((error as Error).message).toContain(`HTTP ${status}`);
    expect(await use("echo", { a: 1 })).toEqual(ok('{"a":1}'));
  });

  it("404 is no end of a session where there is none", async () => {
    const { use } = await join({ session: "off" });
    expect(await outcomeOf(use("status", { status: 404 }))).toMatchObject({
      code: "upstream_error",
      outcome: "failed",
    });
    expect(await use("echo")).toEqual(ok("{}"));
  });

  it("is answered where the body is the server's own answer to it", async () => {
    const { use } = await join();
    const own = '{"jsonrpc":"2.0","id":$ID,"error":{"code":-32602,"message":"no","data":1}}';
    expect(await outcomeOf(use("status", { status: 400, body: own }))).toMatchObject({
      code: "upstream_error",
      outcome: "answered",
      rpc: { code: -32602, message: "no", data: 1 },
    });
  });

  it("is told even where the body never ends", async () => {
    const { use } = await join();
    expect(await messageOf(use("hanging_status", { status: 500 }))).toBe(
      "web answered with HTTP 500: and so on",
    );
  });

  it("is told what the server says, but for pages", async () => {
    const { use } = await join();
    const said = (contentType: string, text: string): Promise<string> => {
      const headers = { "content-type": contentType };
      return messageOf(use("status", { status: 418, headers, body: text }));
    };
    expect(await said("application/json", body("a\nteapot"))).toBe(
      "web answered with HTTP 418: a teapot",
    );
    expect(await said("text/plain", "short\nand stout")).toBe(
      "web answered with HTTP 418: short and stout",
    );
    expect(await said("text/html", "<p>teapot</p>")).toBe("web answered with HTTP 418");
  });

  it("is told by SSE too", async () => {
    const { use, connection, server } = await start({ transport: "sse" }, { kind: "sse" });
    expect(
      await outcomeOf(use("status", { status: 429, headers: { "retry-after": "1" } })),
    ).toMatchObject({ code: "rate_limited", outcome: "failed", retryAfterMs: 1000 });
    expect(await outcomeOf(use("reset"))).toMatchObject({
      code: "connection_lost",
      outcome: "unknown",
    });
    expect(await use("echo")).toEqual(ok("{}"));
    await server.act("forget");
    expect(await outcomeOf(use("echo"))).toMatchObject({ code: "unavailable", outcome: "failed" });
    expect(await connection.ended).toMatchObject({ outcome: "failed" });
  });
});

describe("an answer that does not come", () => {
  it.each([
    ["reset", "connection_lost"],
    ["break_off", "connection_lost"],
    ["break_json", "connection_lost"],
    ["end_early", "connection_lost"],
    ["accepted", "bad_answer"],
    ["html", "bad_answer"],
    ["no_answer", "bad_answer"],
  ])("because of %s is told at once as %s, and the connection goes on", async (tool, code) => {
    const { use, connection } = await join({ get: "refuse" });
    const other = use("resumable");
    const error = await outcomeOf(use(tool));
    expect(error).toMatchObject({ code, outcome: "unknown", upstream: "web" });
    expect(await use("echo")).toEqual(ok("{}"));
    expect(await other).toEqual(ok("resumed"));
    expect(connection.inFlight()).toBe(0);
  });

  it("because the server died is told at once, and the connection ends", async () => {
    const { server, use, connection } = await start();
    const others = outcomeOf(use("never"));
    const outcomes = [await outcomeOf(use("exit")), await others];
    for (const error of outcomes)
      expect(error).toMatchObject({ code: "connection_lost", outcome: "unknown" });
    expect(await connection.ended).toMatchObject({ code: "unavailable", outcome: "failed" });
    await server.exited();
    expect(await outcomeOf(use("echo"))).toMatchObject({ code: "unavailable", outcome: "failed" });
  });

  it("because the server is gone means that nothing was sent", async () => {
    const { server, use, connection } = await start({ get: "refuse" });
    await server.stop();
    const error = await outcomeOf(use("echo"));
    expect(error).toMatchObject({ code: "unavailable", outcome: "failed" });
    expect((error as Error).message).toBe(
      `web cannot be reached at ${server.origin}: connect ECONNREFUSED 127.0.0.1:${server.port}`,
    );
    expect(await connection.ended).toBe(error);
  });

  it("ends the one stream of SSE, and all calls with it", async () => {
    const { use, connection } = await start({ transport: "sse" }, { kind: "sse" });
    const others = outcomeOf(use("never"));
    for (const error of [await outcomeOf(use("break_off")), await others])
      expect(error).toMatchObject({ code: "connection_lost", outcome: "unknown" });
    expect(await connection.ended).toMatchObject({ code: "connection_lost", outcome: "failed" });
  });

  it("comes over SSE only until the server ends its stream", async () => {
    const { server, use, connection } = await start({ transport: "sse" }, { kind: "sse" });
    const outcome = outcomeOf(use("never"));
    await server.until(({ requests }) => requests.some(({ tool }) => tool === "never"));
    await server.act("end-get");
    expect(await outcome).toMatchObject({ code: "connection_lost", outcome: "unknown" });
    expect((await connection.ended).message).toBe("web closed its stream of events");
    expect((await server.seen()).gets).toBe(1);
  });
});

describe("a stream that breaks off and has ids", () => {
  it.each([false, true])("is gone on with, also where the server closed it: %s", async (close) => {
    const { use } = await join({ get: "refuse" });
    const notes: Progress[] = [];
    const args = { times: 6, close };
    const result = await use("resumable", args, { onProgress: (note) => notes.push(note) });
    expect(result).toEqual(ok("resumed"));
    expect(notes.map(({ progress }) => progress)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it.each([404, 405, 400])(
    "fails its call at once where the server refuses with %i",
    async (refuse) => {
      const { use } = await join();
      expect(await outcomeOf(use("resumable", { refuse }))).toMatchObject({
        code: "connection_lost",
        outcome: "unknown",
      });
      expect(await use("echo")).toEqual(ok("{}"));
    },
  );

  it("fails its call after some tries where the server cannot", async () => {
    const { use, server } = await join({ get: "refuse" });
    const { gets } = await server.until((seen) => seen.gets > 0);
    const error = await outcomeOf(use("resumable", { refuse: 503 }));
    expect(error).toMatchObject({ code: "connection_lost", outcome: "unknown" });
    expect((error as Error).message).toContain("HTTP 503");
    expect((await server.seen()).gets).toBe(gets + 4);
    expect(await use("echo")).toEqual(ok("{}"));
  });

  it("is gone on with no more once its call is cancelled", async () => {
    const { use, server } = await start({ get: "refuse" });
    const signal = new Cancel();
    const outcome = outcomeOf(
      use(
        "resumable",
        { times: 1000 },
        { signal, onProgress: () => signal.cancel(cancelled("x")) },
      ),
    );
    expect(await outcome).toMatchObject({ code: "cancelled" });
    await server.until((seen) => seen.cancelled.length > 0);
    expect(await use("echo")).toEqual(ok("{}"));
    const { gets } = await server.seen();
    expect(gets).toBeLessThan(5);
  });
});

describe("messages", () => {
  it.each(["http", "sse"] as const)(
    "by %s: 300 notes in one chunk with the answer all come, in order, before it",
    async (kind) => {
      const { use } = await start(kind === "sse" ? { transport: "sse" } : {}, { kind });
      const notes: Progress[] = [];
      const onProgress = (note: Progress): number => notes.push(note);
      await use("burst", { count: 300 }, { onProgress }).then(() =>
        expect(notes).toHaveLength(300),
      );
      expect(notes).toEqual(
        Array.from({ length: 300 }, (_, n) => ({ progress: n + 1, message: `note ${n + 1}` })),
      );
    },
  );

  it("that are no JSON-RPC are left out, which is told once", async () => {
    const { use, problems } = await start();
    expect(await use("garbage")).toEqual(ok("after garbage"));
    expect(problems).toEqual(['sends what is not JSON-RPC, which is left out: "this is no JSON"']);
  });

  it("of several lines are read", async () => {
    const { use } = await start();
    expect(textOf(await use("pretty", { bytes: 100_000 }))).toHaveLength(100_000);
  });

  it("over the limit are given up", async () => {
    const fetcher = new Fetcher();
    expect(await readText(fetcher, new Response("12345"), 5)).toBe("12345");
    expect(await readText(fetcher, new Response("123456"), 5)).toBeUndefined();
  });

  it("that ask the client are answered", async () => {
    const { use } = await start();
    expect(JSON.parse(textOf(await use("ask")))).toEqual({ asked: "roots/list" });
  });

  it("on a stream that stays open after the answer are not waited for", async () => {
    const { use, server } = await start();
    expect(await use("lingering")).toEqual(ok("lingering"));
    await server.until(({ closed }) => closed.length === 1);
  });
});

describe("the stream of notifications", () => {
  const changes = async (connection: Connection): Promise<string> =>
    new Promise((resolve) => connection.onNotification(resolve));

  it("brings them, and is opened again when it breaks or ends", async () => {
    const { server, connection, use, problems } = await start();
    for (const act of ["drop-get", "end-get"] as const) {
      const { gets } = await server.until((seen) => seen.gets > 0);
      await server.act(act);
      await server.until((seen) => seen.gets > gets);
    }
    const changed = changes(connection);
    await use("change", { tools: ["echo"] });
    expect(await changed).toBe("notifications/tools/list_changed");
    expect(problems).toEqual([]);
  });

  it.each(["refuse", "missing", "fail"])("may be lacking (%s)", async (get) => {
    const { server, use, connection } = await start({ get });
    await server.until(({ gets }) => gets > 0);
    expect(await use("echo")).toEqual(ok("{}"));
    let ended = false;
    void connection.ended.then(() => (ended = true));
    expect(await use("echo")).toEqual(ok("{}"));
    expect(ended).toBe(false);
  });

  it("is given up where it does not stay open, and calls go on", async () => {
    const { server, use, problems } = await start({ get: "close" });
    await server.until(({ gets }) => gets === 4);
    while (problems.length === 0) await use("echo");
    expect(problems).toEqual([
      "its stream of notifications does not stay open, so changes may go unnoticed: web closed its stream of events",
    ]);
    expect((await server.seen()).gets).toBe(4);
    expect(await use("echo")).toEqual(ok("{}"));
  });

  it("ends the connection when the server is gone", async () => {
    const { server, connection } = await start();
    await server.until(({ gets }) => gets > 0);
    await server.stop();
    expect(await connection.ended).toMatchObject({ code: "unavailable", outcome: "failed" });
  });

  it("ends the connection when the session is forgotten", async () => {
    const { server, connection } = await start();
    await server.until(({ gets }) => gets > 0);
    await server.act("drop-get");
    await server.act("forget");
    expect(await connection.ended).toMatchObject({ code: "unavailable", retryAfterMs: 0 });
  });
});

describe("a server that cannot be connected", () => {
  const refusal = async (url: string, over: Over = {}): Promise<CallError> => {
    const error = await outcomeOf(connect(url, over));
    if (!(error instanceof CallError)) throw new Error("it was connected");
    return error;
  };

  it.each(["http", "sse"] as const)("is not there (%s)", async (kind) => {
    const server = await OddHttp.start();
    await server.stop();
    expect(await refusal(server.url, { kind })).toMatchObject({
      code: "unavailable",
      outcome: "failed",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });

  it.each([
    ["401", /refused the request with HTTP 401/],
    ["500", /answered with HTTP 500/],
    ["404", /HTTP 404; and by SSE: .*HTTP 405/],
    ["html", /got text\/html/],
    ["hang", /waited up to \d+ ms/],
  ])("that does %s says why", async (does, message) => {
    const server = await OddHttp.start({ start: does, get: "refuse" });
    expect((await refusal(server.url)).message).toMatch(message);
  });

  it("is abandoned at once, and nothing is left behind", async () => {
    const server = await OddHttp.start({ start: "hang" });
    const abandon = new Cancel();
    const outcome = refusal(server.url, { abandon });
    await server.until(({ requests }) => requests.length > 0);
    const reason = cancelled("closing");
    abandon.cancel(reason);
    expect(await outcome).toBe(reason);
  });

  it("knows only the older transport, and is used by that", async () => {
    const server = await OddHttp.start({ transport: "sse" });
    const { use } = await connect(server.url);
    expect(await use("echo")).toEqual(ok("{}"));
  });

  it("by SSE that opens no stream of events says what it got", async () => {
    const server = await OddHttp.start({ session: "off", get: "missing" });
    expect((await refusal(server.url, { kind: "sse" })).message).toMatch(/HTTP 404: Cannot GET/);
  });
});

describe("what config gives", () => {
  const headers = { "X-Api-Key": "k-12345", Authorization: "Bearer secret-token" };

  it("as headers is sent with each request", async () => {
    const { use } = await start({}, { headers });
    expect(JSON.parse(textOf(await use("headers")))).toMatchObject({
      "x-api-key": "k-12345",
      authorization: "Bearer secret-token",
    });
  });

  it("as user and password in the url is sent as a header", async () => {
    const server = await OddHttp.start();
    const { use } = await connect(server.url.replace("//", "//me:p%40ss@"));
    expect(JSON.parse(textOf(await use("headers")))).toMatchObject({
      authorization: `Basic ${Buffer.from("me:p@ss").toString("base64")}`,
    });
  });

  it("is in no message, whatever the server says", async () => {
    const server = await OddHttp.start();
    const url = `${server.url.replace("//", "//me:p%40ssword@")}?key=q-98765`;
    const { use, problems } = await connect(url, { headers });
    const body = "bad Bearer secret-token, k-12345, q-98765 or p@ssword";
    for (const status of [400, 401, 500]) {
      const message = await messageOf(use("status", { status, body }));
      expect(message).not.toMatch(/secret-token|k-12345|q-98765|ssword/);
    }
    await server.stop();
    expect(await messageOf(use("echo"))).not.toMatch(/ssword|q-98765/);
    expect(problems.join()).not.toMatch(/secret/);
  });

  it.each([{ "X-Key": "secret\nvalue" }, { "X Key": "secret" }, { "X-Key": "secret€" }])(
    "as a header that cannot be sent is named without its value: %j",
    async (bad) => {
      const error = await outcomeOf(connect("http://127.0.0.1:9/", { headers: { ...bad } }));
      expect(error).toMatchObject({ code: "unavailable", outcome: "failed" });
      expect((error as Error).message).toContain(Object.keys(bad)[0]);
      expect((error as Error).message).not.toContain("secret");
    },
  );

  it("goes to no other place, also when the server says so", async () => {
    const other = await OddHttp.start();
    const server = await OddHttp.start({ redirect: `${other.url}?key=x` });
    const error = await outcomeOf(connect(server.url, { headers }));
    expect(error).toMatchObject({ code: "unavailable", outcome: "failed" });
    expect((error as Error).message).toContain(`Redirect to ${other.url} not followed`);
    expect((await other.seen()).requests).toEqual([]);
  });
});

describe("a server by HTTP that takes no notes", () => {
  it("has so many connections and no more, however many calls are taken back", async () => {
    const { server, use } = await start({ note: "hang", answer: "json" });
    const outcomes = Array.from({ length: 1000 }, () => {
      const signal = new Cancel();
      const outcome = outcomeOf(use("never", {}, { signal }));
      signal.cancel(cancelled("enough"));
      return outcome;
    });
    await Promise.all(outcomes);
    // Once no more come, few are open: each of the others would be for as long as a note may take.
    let before = 0;
    const { open } = await server.until(({ requests, open: openNow }) => {
      const isQuiet = requests.length >= 500 && requests.length === before;
      before = requests.length;
      return isQuiet && openNow < 600;
    });
    expect(open).toBeLessThan(600);
  });
});
