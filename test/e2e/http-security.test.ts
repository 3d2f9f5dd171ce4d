import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { outcomeOf } from "../support/calls.ts";
import { holdfast } from "../support/command.ts";
import { odd, temporaryFolder } from "../support/gateway.ts";
import {
  initialize,
  listen,
  openSession,
  raw,
  sdkClient,
  serveHttp,
  type RawAnswer,
} from "../support/http-gateway.ts";
import { orderConfig } from "../support/order.ts";

const servers = { odd: odd({ tools: "echo,environment,params,never" }) };
const anna = "anna-0123456789-secret";
const ben = "ben-0123456789-secret";
const tokens = [
  { name: "anna", token: "${ANNA}" },
  { name: "ben", token: `sha256:${createHash("sha256").update(ben).digest("hex")}` },
];
const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

const withTokens = (http: JsonObject = {}, more: JsonObject = {}) =>
  serveHttp({ mcpServers: servers, http: { tokens, ...http }, ...more }, { env: { ANNA: anna } });

/** Config is looked at twice a second, and the machine may be busy. */
const patient = { timeout: 10_000 };
const ping = { jsonrpc: "2.0", id: 9, method: "ping" };
const call = (name: string, args: JsonObject = {}): JsonObject => ({
  jsonrpc: "2.0",
  id: 9,
  method: "tools/call",
  params: { name, arguments: args },
});

describe("a bearer with as many sessions as there may be", () => {
  it("keeps nobody else out, and is not kept out by them", async () => {
    const { url } = await withTokens({ maxSessions: 3 });
    const busy = async (token: string): Promise<Record<string, string>> => {
      const session = { ...bearer(token), "mcp-session-id": await openSession(url, bearer(token)) };
      await listen(url, { headers: session });
      return session;
    };
    const first = await busy(anna);
    const second = await busy(anna);
    await busy(anna);
    const bens = await busy(ben);
    const status = async (headers: Record<string, string>): Promise<number> =>
      (await raw(url, { headers, body: ping })).status;
    expect([await status(first), await status(second), await status(bens)]).toEqual([
      404, 200, 200,
    ]);
    for (const token of [anna, ben])
      expect((await raw(url, { headers: bearer(token), body: initialize() })).status).toBe(503);
  });
});

describe("a bearer whom config no longer names", () => {
  it("is let in no more, and what he has open ends; of others nothing does", async () => {
    const { url, file, stderr } = await withTokens();
    const write = (http: JsonObject): void => {
      const config = JSON.parse(readFileSync(file, "utf8")) as JsonObject;
      writeFileSync(file, JSON.stringify({ ...config, http }));
    };
    const [annas, bens] = await Promise.all(
      [anna, ben].map(async (token) => ({
        ...bearer(token),
        "mcp-session-id": await openSession(url, bearer(token)),
      })),
    );
    const status = async (headers: JsonObject = {}): Promise<number> =>
      (await raw(url, { headers: headers as Record<string, string>, body: ping })).status;
    const [hers, his] = await Promise.all(
      [annas, bens].map((headers) => listen(url, { headers: headers ?? {} })),
    );
    write({ tokens: ["short"] });
    await expect.poll(stderr, patient).toContain("at least 16 characters");
    expect(await status(annas)).toBe(200);
    write({ tokens: tokens.slice(1) });
    await hers?.ended;
    expect([await status(annas), await status(bens)]).toEqual([401, 200]);
    write({ tokens });
    await expect.poll(() => status(annas), patient).toBe(404);
    expect(await status(bens)).toBe(200);
    his?.cut();
  });
});

describe("a page that a browser has loaded from elsewhere", () => {
  it("is refused, by a name of its own for our address and by its Origin", async () => {
    const { url } = await serveHttp({ mcpServers: servers });
    for (const headers of [
      { host: "evil.example.com" },
      { host: "evil.example.com:1234" },
      { host: "localhost.evil.example.com" },
      { host: "127.0.0.1.evil.example.com" },
      { host: "evil@localhost" },
      { origin: "https://evil.example.com" },
      { origin: "null" },
      { origin: "http://localhost.evil.example.com" },
      { origin: "localhost" },
    ]) {
      const answer = await raw(url, { headers, body: initialize() });
      expect([headers, answer.status]).toEqual([headers, 403]);
      expect(answer.headers["mcp-session-id"]).toBeUndefined();
      expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
    }
  });

  it("is not what a client on this machine is taken for", async () => {
    const { url } = await serveHttp({ mcpServers: servers });
    const { port } = new URL(url);
    for (const headers of [
      { host: `localhost:${port}` },
      { host: `127.0.0.1:${port}`, origin: `http://127.0.0.1:${port}` },
      { host: `[::1]:${port}`, origin: "http://[::1]:1" },
      { host: "LOCALHOST", origin: "http://localhost:6274" },
    ])
      expect((await raw(url, { headers, body: initialize() })).status).toBe(200);
  });

  it("is let in, and told so, where config names its Origin", async () => {
    const origin = "https://app.example.com";
    const { url } = await serveHttp({
      mcpServers: servers,
      http: { allowedOrigins: [origin], allowedHosts: ["mcp.example.com"] },
    });
    const headers = { origin, host: "mcp.example.com" };
    const asked = await raw(url, {
      method: "OPTIONS",
      headers: { ...headers, "access-control-request-method": "POST" },
    });
    expect([asked.status, asked.headers["access-control-allow-origin"]]).toEqual([204, origin]);
    expect(asked.headers["access-control-allow-headers"]).toContain("mcp-session-id");
    const answer = await raw(url, { headers, body: initialize() });
    expect(answer.headers).toMatchObject({
      "access-control-allow-origin": origin,
      "access-control-expose-headers": expect.stringContaining("mcp-session-id") as unknown,
      vary: "origin",
    });
    const other = await raw(url, { method: "OPTIONS", headers: { origin: "http://localhost:1" } });
    expect(other.status).toBe(405);
  });
});

describe("where tokens are given", () => {
  it("nobody comes in without one of them", async () => {
    const { url } = await withTokens();
    const tries: [Record<string, string>, string][] = [
      [{}, 'Bearer realm="holdfast"'],
      [{ authorization: "Basic YTpi" }, 'Bearer realm="holdfast"'],
      [{ authorization: `Bearer ` }, 'Bearer realm="holdfast"'],
      [bearer("wrong-0123456789-secret"), 'Bearer realm="holdfast", error="invalid_token"'],
      [bearer(anna.slice(0, -1)), 'Bearer realm="holdfast", error="invalid_token"'],
      [bearer("${ANNA}"), 'Bearer realm="holdfast", error="invalid_token"'],
      // The hash that stands in config opens nothing.
      [bearer(String(tokens[1]?.token)), 'Bearer realm="holdfast", error="invalid_token"'],
    ];
    for (const [headers, challenge] of tries)
      for (const method of ["POST", "GET", "DELETE"]) {
        const answer = await raw(url, {
          method,
          headers,
          ...(method === "POST" && { body: initialize() }),
        });
        expect([answer.status, answer.headers["www-authenticate"]]).toEqual([401, challenge]);
      }
    for (const token of [anna, ben])
      expect((await raw(url, { headers: bearer(token), body: initialize() })).status).toBe(200);
    expect((await raw(url, { method: "GET", path: "/healthz" })).status).toBe(200);
  });

  it("another's session is not there", async () => {
    const { url } = await withTokens();
    const id = await openSession(url, bearer(anna));
    const of = (token: string): Record<string, string> => ({
      ...bearer(token),
      "mcp-session-id": id,
    });
    for (const method of ["POST", "GET", "DELETE"])
      expect(
        (
          await raw(url, {
            method,
            headers: { accept: "application/json, text/event-stream", ...of(ben) },
            ...(method === "POST" && { body: ping }),
          })
        ).status,
      ).toBe(404);
    expect((await raw(url, { headers: of(anna), body: ping })).status).toBe(200);
  });

  it("no token is passed to a server, nor written anywhere", async () => {
    const gateway = await withTokens({}, { log: { level: "debug" } });
    const { client } = await sdkClient(gateway.url, {}, undefined, bearer(anna));
    const heard = await Promise.all(
      ["odd__environment", "odd__params"].map((name) =>
        client.callTool({ name, arguments: {}, _meta: { note: "kept" } }),
      ),
    );
    const [environment, params] = heard.map((result) => JSON.stringify(result));
    expect(params).toContain("kept");
    expect(environment).not.toContain(anna);
    expect(params).not.toContain(anna);
    await client.callTool({ name: "odd__echo", arguments: { said: anna } });
    await gateway.stop();
    expect(gateway.stderr()).toContain("odd");
    expect(gateway.stderr()).not.toContain(anna);
  });

  it("runs of one principal are not another's, and the person at the machine sees whose they are", async () => {
    const { mcpServers, ...order } = orderConfig(temporaryFolder());
    const config = { ...order, builtins: ["*"], http: { tokens }, mcpServers };
    const { url, file, state } = await serveHttp(config, { env: { ANNA: anna } });
    const [first, second] = await Promise.all(
      [anna, ben].map((token) => sdkClient(url, {}, undefined, bearer(token))),
    );
    if (first === undefined || second === undefined) throw new Error("no client");
    await first.client.callTool({
      name: "holdfast__place_order",
      arguments: { customer: "Ada", items: [{ sku: "apple", quantity: 1 }] },
    });
    const listed = await Promise.all(
      [first, second].map(async ({ client }) => {
        const { structuredContent } = await client.callTool({ name: "holdfast__list_runs" });
        return (structuredContent as { runs: { id: string }[] }).runs;
      }),
    );
    expect(listed).toMatchObject([[{ name: "place_order" }], []]);
    const id = String(listed[0]?.[0]?.id);
    for (const name of ["get_run", "cancel_run", "resume_run"]) {
      const answer = second.client.callTool({ name: `holdfast__${name}`, arguments: { id } });
      expect(JSON.stringify(await outcomeOf(answer))).not.toContain("apple");
    }
    const shown = holdfast(["runs", "--json", "--config", file], {
      env: { HOLDFAST_STATE_DIR: state },
    });
    expect(JSON.parse(shown.out)).toMatchObject({ runs: [{ id, principal: "anna" }] });
    const one = holdfast(["runs", id, "--config", file], { env: { HOLDFAST_STATE_DIR: state } });
    expect(one.out).toContain(`run ${id} of anna`);
  });

  it("a large result of one client is not another's", async () => {
    const { url } = await withTokens(
      {},
      {
        mcpServers: {
          odd: { ...odd({ tools: "large" }), policies: { result: { maxBytes: 1000 } } },
        },
        builtins: ["read_result"],
      },
    );
    const [first, second] = await Promise.all(
      [anna, ben].map((token) => sdkClient(url, {}, undefined, bearer(token))),
    );
    if (first === undefined || second === undefined) throw new Error("no client");
    const kept = JSON.stringify(
      await first.client.callTool({ name: "odd__large", arguments: { bytes: 5000 } }),
    );
    const uri = String(/holdfast:\/\/results\/[\w-]+/.exec(kept)?.[0]);
    const read = ({ client }: typeof first): Promise<unknown> =>
      outcomeOf(client.readResource({ uri }));
    expect(JSON.stringify(await read(first))).toContain("xxx");
    expect(await read(second)).toBeInstanceOf(Error);
  });

  it("events of one principal are not another's", async () => {
    const { url } = await withTokens({}, { builtins: ["*"] });
    const [first, second] = await Promise.all(
      [anna, ben].map((token) => sdkClient(url, {}, undefined, bearer(token))),
    );
    if (first === undefined || second === undefined) throw new Error("no client");
    await first.client.callTool({
      name: "holdfast__publish_event",
      arguments: { type: "lead.created", data: { of: "anna" } },
    });
    const [mine, theirs] = await Promise.all(
      [first, second].map(async ({ client }) =>
        JSON.stringify(
          await client.callTool({
            name: "holdfast__query_events",
            arguments: { type: "lead.created" },
          }),
        ),
      ),
    );
    expect(mine).toContain("anna");
    expect(theirs).not.toContain("anna");
    const read = await second.client.readResource({ uri: "holdfast://events/lead.created" });
    expect(JSON.stringify(read)).not.toContain("anna");
  });
});

describe("a guess at a session", () => {
  it("finds none", async () => {
    const { url } = await serveHttp({ mcpServers: servers });
    const id = await openSession(url);
    const last = id.endsWith("A") ? "B" : "A";
    for (const guess of [
      "",
      "1",
      id.slice(0, -1),
      `${id.slice(0, -1)}${last}`,
      `${id},${id}`,
      "__proto__",
    ]) {
      const answer = await raw(url, { headers: { "mcp-session-id": guess }, body: ping });
      expect(answer.status).toBe(404);
    }
  });

  it("of an event of another session gives nothing", async () => {
    const { url } = await serveHttp({ mcpServers: { odd: odd() } });
    const [mine, theirs] = [await openSession(url), await openSession(url)];
    const stream = await listen(url, {
      method: "POST",
      headers: { "mcp-session-id": theirs },
      body: {
        ...call("odd__steps", { count: 2, everyMs: 10 }),
        params: {
          name: "odd__steps",
          arguments: { count: 2, everyMs: 10 },
          _meta: { progressToken: 1 },
        },
      },
    });
    await stream.ended;
    for (const id of stream.ids) {
      const headers = { "mcp-session-id": mine, "last-event-id": id, accept: "text/event-stream" };
      const answer = await raw(url, { method: "GET", headers });
      expect([answer.status, answer.text]).toEqual([204, ""]);
    }
  });
});

describe("a body", () => {
  const expectAlive = async (url: string): Promise<void> =>
    expect((await raw(url, { body: initialize() })).status).toBe(200);

  it("that is too large is refused, whether it says so or not", async () => {
    const { url } = await serveHttp({ mcpServers: servers, http: { maxBodyBytes: 10_000 } });
    const id = await openSession(url);
    const body = JSON.stringify(call("odd__echo", { text: "x".repeat(20_000) }));
    const told = await raw(url, { headers: { "mcp-session-id": id }, body });
    expect([told.status, told.headers["connection"]]).toEqual([413, "close"]);
    const chunked = await sendSlowly(url, [`${(20_000).toString(16)}\r\n`, "x".repeat(20_000)], {
      "transfer-encoding": "chunked",
    });
    expect(chunked).toMatch(/^HTTP\/1\.1 413 /);
    const fits = await raw(url, {
      headers: { "mcp-session-id": id },
      body: call("odd__echo", { text: "x".repeat(9000) }),
    });
    expect(fits.status).toBe(200);
    await expectAlive(url);
  });

  it.each([
    ["lists", (n: number) => `${"[".repeat(n)}${"]".repeat(n)}`],
    ["objects", (n: number) => `${'{"a":'.repeat(n)}1${"}".repeat(n)}`],
  ])("of %s that is nested too deep is refused", async (_, nest) => {
    const { url } = await serveHttp({ mcpServers: servers });
    const id = await openSession(url);
    const send = (depth: number): Promise<RawAnswer> => {
      const text = JSON.stringify(call("odd__echo", { a: 0 })).replace(
        '{"a":0}',
        `{"a":${nest(depth)}}`,
      );
      return raw(url, { headers: { "mcp-session-id": id }, body: text });
    };
    for (const depth of [200, 100_000]) {
      const answer = await send(depth);
      expect([answer.status, answer.text]).toEqual([400, expect.stringContaining("nested")]);
    }
    expect((await send(190)).text).toContain('"result"');
    // Brackets within texts are no nesting.
    const texts = await raw(url, {
      headers: { "mcp-session-id": id },
      body: call("odd__echo", { a: `"\\${"[{".repeat(1000)}` }),
    });
    expect(texts.text).toContain('"result"');
  });

  it("that does not come in time ends its connection, and hurts nobody", async () => {
    const { url } = await serveHttp({ mcpServers: servers, http: { requestTimeoutMs: 500 } });
    const half = sendSlowly(url, ['{"jsonrpc":'], { "content-length": "100" });
    const heads = sendSlowly(url, [], {}, false);
    await expectAlive(url);
    expect(await half).toMatch(/^HTTP\/1\.1 408 /);
    expect(await heads).toMatch(/^HTTP\/1\.1 408 /);
  });

  it("that is no JSON-RPC is refused by the code that says what it is", async () => {
    const { url } = await serveHttp({ mcpServers: servers });
    const headers = { "mcp-session-id": await openSession(url) };
    for (const [body, code] of [
      ["{", -32700],
      ["42", -32600],
      ["[]", -32600],
      ['{"method":"ping","id":1}', -32600],
      ['{"jsonrpc":"2.0","method":"ping","id":{}}', -32600],
      ['{"jsonrpc":"2.0","method":"ping","id":null}', -32600],
    ]) {
      const answer = await raw(url, { headers, body });
      expect([answer.status, JSON.parse(answer.text)]).toMatchObject([400, { error: { code } }]);
    }
  });
});

describe("headers", () => {
  it("that do not fit are refused by the status that says which", async () => {
    const { url } = await serveHttp({ mcpServers: servers });
    const session = { "mcp-session-id": await openSession(url) };
    const status = async (headers: Record<string, string | undefined>): Promise<number> =>
      (await raw(url, { headers: { ...session, ...headers }, body: ping })).status;
    expect(await status({ accept: "application/json" })).toBe(406);
    expect(await status({ accept: "text/event-stream" })).toBe(406);
    expect(await status({ accept: "*/*" })).toBe(200);
    expect(await status({ accept: "application/json;q=1, text/*" })).toBe(200);
    expect(await status({ "content-type": "text/plain" })).toBe(415);
    expect(await status({ "content-encoding": "gzip" })).toBe(415);
    expect(await status({ "content-type": "application/json; charset=utf-8" })).toBe(200);
    expect(await status({ "mcp-protocol-version": "1999-01-01" })).toBe(400);
    expect(await status({ "mcp-protocol-version": "nonsense" })).toBe(400);
    expect(await status({ "mcp-protocol-version": "2025-11-25" })).toBe(200);
    const get = (headers: Record<string, string>): Promise<RawAnswer> =>
      raw(url, { method: "GET", headers: { ...session, ...headers } });
    expect((await get({ accept: "application/json" })).status).toBe(406);
    expect((await get({ accept: "text/event-stream", "last-event-id": "nonsense" })).status).toBe(
      400,
    );
    const put = await raw(url, { method: "PUT", headers: session, body: ping });
    expect([put.status, put.headers["allow"]]).toEqual([405, "GET, POST, DELETE"]);
  });
});

/** Writes the beginning of a request and no more; what was answered until the connection ended. */
async function sendSlowly(
  url: string,
  parts: readonly string[],
  headers: Record<string, string>,
  isHeadWhole = true,
): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const all = {
    host: "localhost",
    accept: "application/json, text/event-stream",
    "content-type": "application/json",
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  let text = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => (text += chunk));
  socket.on("error", () => {});
  socket.write(["POST /mcp HTTP/1.1", ...lines, ...(isHeadWhole ? ["", ""] : [])].join("\r\n"));
  for (const part of parts) socket.write(part);
  await once(socket, "close");
  return text;
}
