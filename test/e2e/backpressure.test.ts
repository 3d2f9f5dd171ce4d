import { readFileSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { atTestEnd, odd, startGateway, startServers } from "../support/gateway.ts";
import { openSession, serveHttp } from "../support/http-gateway.ts";
import { OddHttp } from "../support/odd-http.ts";
import { textOf, type RawClient } from "../support/raw-client.ts";
import { metaOf } from "../support/stateless.ts";

const MiB = 1 << 20;

/** The most memory that a process has had, in MiB. */
const peakOf = (pid: number | undefined): number =>
  Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const failureOf = ({ _meta: meta }: JsonObject) =>
  (meta as JsonObject | undefined)?.["holdfast/failure"] as
    | { readonly code: string; readonly outcome: string }
    | undefined;

/** How many results there are of each kind: `result`, or the code of a failure. */
function tally(results: readonly JsonObject[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const result of results) {
    const kind = failureOf(result)?.code ?? (result["error"] === undefined ? "result" : "error");
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

const ready = async (client: RawClient): Promise<RawClient> => {
  await client.initialize();
  await client.tools();
  return client;
};

/** That no id was answered twice. */
function expectOnce({ messages }: RawClient): void {
  const ids = messages.flatMap(({ id, method }) => (method === undefined ? [id] : []));
  expect(new Set(ids).size).toBe(ids.length);
}

describe("a client on stdio that does not read", () => {
  it("for longer than a call may take gets each answer once, none of which is a timeout", async () => {
    const client = startGateway({
      policies: { timeout: { attemptMs: 2000 } },
      mcpServers: { odd: odd({ tools: "large" }) },
    });
    await ready(client);
    client.child.stdout?.pause();
    const calls = Array.from({ length: 500 }, () => client.call("odd__large", { bytes: 100_000 }));
    await sleep(5000);
    client.child.stdout?.resume();
    expect(tally(await Promise.all(calls))).toEqual({ result: 500 });
    expectOnce(client);
    expect(peakOf(client.child.pid)).toBeLessThan(250);
  });

  it("is told of a flood of progress all the same, while the server waits and the gateway stays small", async () => {
    const client = startServers({ odd: odd({ tools: "burst" }) });
    await ready(client);
    client.child.stdout?.pause();
    const count = 200_000;
    const call = client.call("odd__burst", { count }, { progressToken: "p" });
    await sleep(2000);
    expect(peakOf(client.child.pid)).toBeLessThan(200);
    client.child.stdout?.resume();
    expect(textOf(await call)).toBe("done");
    expect(client.messages.filter(({ method }) => method !== undefined)).toHaveLength(count);
  });

  it("and closes its end of a full pipe ends the gateway", async () => {
    const client = startServers({ odd: odd({ tools: "large" }) });
    await ready(client);
    client.child.stdout?.pause();
    for (let n = 0; n < 300; n++) void client.call("odd__large", { bytes: 100_000 });
    await sleep(500);
    client.child.stdout?.destroy();
    expect(await client.exited).toBe(0);
  });
});

describe("10 000 calls at once", () => {
  it("to a server that has stopped hold back no other; as many as fit are answered when it goes on", async () => {
    const client = startServers({
      odd: odd({ tools: "echo,pid" }),
      good: odd({ tools: "echo" }),
    });
    await ready(client);
    const pid = Number(textOf(await client.call("odd__pid")));
    process.kill(pid, "SIGSTOP");
    atTestEnd(() => {
      try {
        process.kill(pid, "SIGCONT");
      } catch {} // it has ended
    });
    const big = "x".repeat(10_000);
    const calls = Array.from({ length: 10_000 }, (_, n) => client.call("odd__echo", { big, n }));
    for (let n = 0; n < 20; n++)
      expect(textOf(await client.call("good__echo", { n }))).toBe(JSON.stringify({ n }));
    process.kill(pid, "SIGCONT");
    // 64 are at work and 1000 wait; of the others nothing was done.
    expect(tally(await Promise.all(calls))).toEqual({ result: 1064, overloaded: 8936 });
    expectOnce(client);
    expect(peakOf(client.child.pid)).toBeLessThan(500);
    expect(textOf(await client.call("odd__echo", { n: 1 }))).toBe('{"n":1}');
    const { structuredContent } = await client.call("holdfast__status");
    expect((structuredContent as { upstreams: JsonObject[] }).upstreams[0]).toMatchObject({
      active: 0,
      waiting: { bulkhead: 0 },
    });
  });

  it("to a slow server by HTTP open no more connections than go with the calls that it may have", async () => {
    const server = await OddHttp.start({ answer: "json" });
    const client = startServers({ web: { url: server.url }, good: odd({ tools: "echo" }) });
    await ready(client);
    const calls = Array.from({ length: 10_000 }, () => client.call("web__slow", { ms: 100 }));
    expect(textOf(await client.call("good__echo"))).toBe("{}");
    const { result = 0, overloaded = 0 } = tally(await Promise.all(calls));
    expect(result).toBeGreaterThanOrEqual(1064);
    expect(result + overloaded).toBe(10_000);
    expectOnce(client);
    // A call has its answer, and gives its place to the next, a moment before its connection is free.
    expect((await server.seen()).mostOpen).toBeLessThanOrEqual(2 * 64 + 2);
    expect(peakOf(client.child.pid)).toBeLessThan(500);
  });
});

describe("a result of 64 MiB", () => {
  const text = "x".repeat(64 * MiB);

  it("reaches all who share it on stdio, though together they are more than a string can be", async () => {
    const client = startServers({
      odd: { ...odd({ tools: "large" }), tools: { overrides: { large: { effect: "read" } } } },
    });
    await ready(client);
    const calls = Array.from({ length: 9 }, async () => {
      const isWhole = textOf(await client.call("odd__large", { bytes: text.length })) === text;
      client.messages.length = 0;
      return isWhole;
    });
    expect(await Promise.all(calls)).toEqual(calls.map(() => true));
    expect(peakOf(client.child.pid)).toBeLessThan(1000);
  });

  it("passes from a server by HTTP to a client by HTTP, two of them at once", async () => {
    const server = await OddHttp.start({ answer: "sse" });
    const { url, child } = await serveHttp({ mcpServers: { web: { url: server.url } } });
    const session = { "mcp-session-id": await openSession(url) };
    const answers = [1, 2].map(async (id) => {
      const response = await post(url, session, callOf(id, "web__large", { bytes: text.length }));
      return (await messageIn(response))["result"] as JsonObject;
    });
    for (const answer of answers) expect(textOf(await answer) === text).toBe(true);
    expect(peakOf(child.pid)).toBeLessThan(1000);
  });
});

it("a result of more than 256 MiB is an error of that call alone", async () => {
  const client = startServers({ odd: odd({ tools: "large,echo" }) });
  await ready(client);
  const large = client.call("odd__large", { bytes: 257 * MiB });
  const other = client.call("odd__large", { bytes: 10 });
  expect(failureOf(await large)).toMatchObject({ code: "too_large", outcome: "unknown" });
  expect(textOf(await other)).toBe("x".repeat(10));
  expect(peakOf(client.child.pid)).toBeLessThan(800);
});

describe("a client by HTTP that does not read", () => {
  const count = 40;

  it.each([["2025-11-25"], ["2026-07-28"]])(
    "its large answers, in %s, takes a bounded part of the memory and nothing of the others",
    async (version) => {
      const { url, child } = await serveHttp({
        http: { maxUnreadBytes: 16 * MiB },
        mcpServers: { odd: odd({ tools: "large" }), good: odd({ tools: "echo" }) },
      });
      const other = { "mcp-session-id": await openSession(url) };
      const isModern = version === "2026-07-28";
      const headers: Record<string, string> = isModern
        ? { "mcp-protocol-version": version, "mcp-method": "tools/call", "mcp-name": "odd__large" }
        : { "mcp-session-id": await openSession(url) };
      const meta = isModern ? metaOf() : undefined;
      const ask = (id: number, bytes: number): Promise<IncomingMessage> =>
        post(url, headers, callOf(id, "odd__large", { bytes, id }, meta));
      const unread = Array.from({ length: count }, (_, n) => ask(n + 1, 8 * MiB));
      for (let id = 1; id <= 20; id++) {
        const response = await post(url, other, callOf(id, "good__echo", { id }));
        expect(await messageIn(response)).toMatchObject({ id });
      }
      const isDone = async (): Promise<boolean> => {
        const status = await messageIn(await post(url, other, callOf(0, "holdfast__status", {})));
        const { structuredContent } = status["result"] as { structuredContent: JsonObject };
        const [server] = structuredContent["upstreams"] as [
          { figures: { calls: number; inFlight: number } },
        ];
        return server.figures.calls === count && server.figures.inFlight === 0;
      };
      while (!(await isDone())) await sleep(200);
      expect(peakOf(child.pid)).toBeLessThan(400);
      const messages = await Promise.all(unread.map(async (one) => messageIn(await one)));
      expect(messages.map(({ id }) => id)).toEqual(messages.map((_, n) => n + 1));
      const results = messages.map(({ result }) => result as JsonObject);
      const { result = 0, overloaded = 0 } = tally(results);
      expect(result).toBeGreaterThanOrEqual(2);
      expect(overloaded).toBeGreaterThan(0);
      expect(result + overloaded).toBe(count);
      const leftOut = results.find((one) => failureOf(one) !== undefined) ?? {};
      expect(failureOf(leftOut)).toMatchObject({ outcome: "done" });
      const later = await messageIn(await ask(count + 1, 8 * MiB));
      expect(textOf(later["result"] as JsonObject)).toHaveLength(8 * MiB);
    },
  );
});

const callOf = (id: number, name: string, args: JsonObject, meta?: JsonObject): JsonObject => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name, arguments: args, ...(meta !== undefined && { _meta: meta }) },
});

/** Posts a message; nothing of the response's body is read yet. */
function post(
  url: string,
  headers: Record<string, string>,
  message: JsonObject,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, {
      method: "POST",
      agent: false,
      headers: {
        accept: "application/json, text/event-stream",
        "content-type": "application/json",
        ...headers,
      },
    });
    request.on("error", reject);
    request.on("response", resolve);
    request.end(JSON.stringify(message));
  });
}

/** The one message of a response, be it JSON or a stream of events. */
async function messageIn(response: IncomingMessage): Promise<JsonObject> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString();
  const isStream = response.headers["content-type"] === "text/event-stream";
  const data = isStream ? (/^data: (\{.*)$/m.exec(body)?.[1] ?? "{}") : body;
  return JSON.parse(data) as JsonObject;
}
