import { join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import {
  atTestEnd,
  configFile,
  main,
  odd,
  root,
  startGateway,
  startServers,
  temporaryFolder,
} from "../support/gateway.ts";
import { listen, raw, serveHttp } from "../support/http-gateway.ts";
import { textOf, type Answer, type RawClient } from "../support/raw-client.ts";
import { able, metaOf } from "../support/stateless.ts";

const everything = {
  command: process.execPath,
  args: [join(root, "node_modules/@modelcontextprotocol/server-everything/dist/index.js"), "stdio"],
};
const builtins = ["status"];
const idKey = "io.modelcontextprotocol/subscriptionId";
const levelKey = "io.modelcontextprotocol/logLevel";

/** How a client of the era reaches a gateway on a config. */
const ways = {
  stdio: (config: JsonObject) =>
    Promise.resolve(
      new StdioClientTransport({
        command: process.execPath,
        args: [main, "--config", configFile({ builtins, ...config })],
        stderr: "ignore",
        env: { ...(process.env as Record<string, string>), HOLDFAST_STATE_DIR: temporaryFolder() },
      }),
    ),
  HTTP: async (config: JsonObject) =>
    new StreamableHTTPClientTransport(new URL((await serveHttp(config)).url)),
};

/** The reference client, which answers whatever it is asked, and what it was asked. */
async function connect(way: keyof typeof ways, config: JsonObject) {
  const asked: JsonObject[] = [];
  const client = new Client(
    { name: "reference", version: "1.0.0" },
    { capabilities: able, versionNegotiation: { mode: { pin: "2026-07-28" } } },
  );
  client.setRequestHandler("elicitation/create", ({ params }) => {
    asked.push(params);
    return params.mode === "url"
      ? { action: "accept" }
      : { action: "accept", content: { name: "Ada", check: true } };
  });
  client.setRequestHandler("sampling/createMessage", ({ params }) => {
    asked.push(params);
    return { role: "assistant", model: "m", content: { type: "text", text: "sampled" } };
  });
  client.setRequestHandler("roots/list", () => ({
    roots: [{ uri: "file:///work", name: "work" }],
  }));
  const transport = await ways[way](config);
  await client.connect(transport);
  atTestEnd(() => client.close());
  const call = async (name: string, args: JsonObject = {}): Promise<string> =>
    textOf(await client.callTool({ name, arguments: args }));
  return { client, call, asked };
}

describe.each(["stdio", "HTTP"] as const)("the reference client of 2026-07-28 on %s", (way) => {
  it("uses a server of the earlier era, which asks it for everything that there is", async () => {
    const { client, call, asked } = await connect(way, { mcpServers: { up: everything } });
    expect(client.getServerVersion()).toMatchObject({ name: "holdfast" });
    // What it lists depends on what the client can do, which it learns with its roots.
    const known = async (name: string): Promise<boolean> =>
      (await client.listTools()).tools.some((tool) => tool.name === name);
    // oxlint-disable-next-line no-await-in-loop -- it waits
    while (!(await known("up__trigger-elicitation-request")))
      await call("up__echo", { message: "hello" });

    expect(await call("up__echo", { message: "hello" })).toBe("Echo: hello");
    expect(await call("up__trigger-elicitation-request")).toContain("User provided");
    expect(await call("up__trigger-sampling-request", { prompt: "p", maxTokens: 9 })).toContain(
      "sampled",
    );
    expect(asked).toHaveLength(2);
    expect(await call("up__get-roots-list")).toContain("file:///work");

    const progress: unknown[] = [];
    await client.callTool(
      { name: "up__trigger-long-running-operation", arguments: { duration: 0.1, steps: 3 } },
      { onprogress: (note) => progress.push(note.progress) },
    );
    // Its stdio loses those that come in one chunk with the answer.
    expect(progress).toEqual(way === "HTTP" ? [1, 2, 3] : [1, 2, 3].slice(0, progress.length));
    expect(progress.length).toBeGreaterThan(0);

    const uri = "demo://resource/dynamic/text/1";
    expect(await client.readResource({ uri })).toMatchObject({ contents: [{ uri }] });
    expect((await client.listResourceTemplates()).resourceTemplates.length).toBeGreaterThan(0);
    const { prompts } = await client.listPrompts();
    expect(prompts.map(({ name }) => name)).toContain("up__args-prompt");
    expect(
      await client.getPrompt({ name: "up__args-prompt", arguments: { city: "Gdynia" } }),
    ).toMatchObject({ messages: [{ content: { text: expect.stringContaining("Gdynia") } }] });
    expect(
      await client.complete({
        ref: { type: "ref/prompt", name: "up__completable-prompt" },
        argument: { name: "department", value: "E" },
      }),
    ).toMatchObject({ completion: { values: ["Engineering"] } });
    await expect(client.callTool({ name: "nobody", arguments: {} })).rejects.toMatchObject({
      code: -32602,
    });
    await expect(client.readResource({ uri: "x:nothing" })).rejects.toMatchObject({ code: -32602 });
  });

  it("takes a call back, and the server hears of it", async () => {
    const { client, call } = await connect(way, { mcpServers: { up: odd() } });
    const stop = new globalThis.AbortController();
    const never = client.callTool({ name: "up__never", arguments: {} }, { signal: stop.signal });
    await call("up__echo");
    stop.abort("enough");
    await expect(never).rejects.toThrow("enough");
    let seen = "[]";
    // oxlint-disable-next-line no-await-in-loop -- it waits
    while (seen === "[]") seen = await call("up__cancelled");
    expect(JSON.parse(seen)).toHaveLength(1);
  });

  it("listens for changes", async () => {
    const config = {
      mcpServers: { up: odd({ resources: "x:1", tools: "change,update,echo,told" }) },
    };
    const { client, call } = await connect(way, config);
    await client.listTools();
    const heard: string[] = [];
    const changed = new Promise<void>((resolve) => {
      client.setNotificationHandler("notifications/tools/list_changed", () => resolve());
    });
    const updated = new Promise<void>((resolve) => {
      client.setNotificationHandler("notifications/resources/updated", ({ params }) => {
        heard.push(params.uri);
        resolve();
      });
    });
    const subscription = await client.listen({
      toolsListChanged: true,
      resourceSubscriptions: ["x:1"],
    });
    expect(subscription.honoredFilter).toEqual({
      toolsListChanged: true,
      resourceSubscriptions: ["x:1"],
    });
    await call("up__update", { uri: "x:1" });
    await updated;
    await call("up__change", { tools: ["echo", "told"] });
    await changed;
    expect(heard).toEqual(["x:1"]);
    await subscription.close();
    let told = "";
    // oxlint-disable-next-line no-await-in-loop -- it waits
    while (!told.includes("unsubscribe")) told = await call("up__told");
    expect(JSON.parse(told)).toEqual([
      ["resources/subscribe", "x:1"],
      ["resources/unsubscribe", "x:1"],
    ]);
  });

  it("is told when a server dies meanwhile, and calls it again", async () => {
    const { client, call } = await connect(way, { mcpServers: { up: odd() } });
    const lost = await client.callTool({ name: "up__crash", arguments: {} });
    expect(lost).toMatchObject({
      isError: true,
      _meta: { "holdfast/failure": { code: "connection_lost" } },
    });
    expect(await call("up__echo", { a: 1 })).toBe('{"a":1}');
  });
});

/** Sends a request without a session. */
const modern = (
  client: RawClient,
  method: string,
  params: JsonObject = {},
  capabilities: JsonObject = {},
  meta: JsonObject = {},
): Promise<Answer> & { id: number } =>
  client.request(method, { ...params, _meta: metaOf(capabilities, meta) });

const ask = (method: string, params: JsonObject = {}): JsonObject => ({
  name: "up__ask",
  arguments: { method, params },
});

describe("requests without a session on stdio, line by line", () => {
  it("are told apart from those of a session, in one process", async () => {
    const client = startServers({ up: odd() });
    expect(await modern(client, "server/discover")).toMatchObject({
      result: { resultType: "complete", supportedVersions: ["2026-07-28"] },
    });
    expect(await client.initialize()).toMatchObject({ protocolVersion: "2025-11-25" });
    const call = { name: "up__echo", arguments: { a: 1 } };
    const [old, present] = await Promise.all([
      client.request("tools/call", call),
      modern(client, "tools/call", call),
    ]);
    expect(old.result).not.toHaveProperty("resultType");
    expect(present.result).toMatchObject({ resultType: "complete" });
    expect(await client.request("ping")).toMatchObject({ result: {} });
    expect(await modern(client, "ping")).toMatchObject({ error: { code: -32601 } });
    expect(await client.request("server/discover")).toMatchObject({ error: { code: -32602 } });
    expect(
      await client.request("x", {
        _meta: { ...metaOf(), "io.modelcontextprotocol/protocolVersion": "1" },
      }),
    ).toMatchObject({
      error: { code: -32022, data: { supported: ["2026-07-28"], requested: "1" } },
    });
  });

  it("reach a server as they are, less what only we need", async () => {
    const client = startServers({ up: odd() });
    const { result } = await modern(client, "tools/call", { name: "up__params" }, {}, { "x/y": 1 });
    expect(JSON.parse(textOf(result ?? {}))).toEqual({ name: "params", _meta: { "x/y": 1 } });
  });

  it("bring large answers whole", async () => {
    const client = startServers({ up: odd() });
    const call = { name: "up__large", arguments: { bytes: 3_000_000 } };
    const { result } = await modern(client, "tools/call", call);
    expect(result).toMatchObject({ resultType: "complete" });
    expect(textOf(result ?? {})).toHaveLength(3_000_000);
  });

  it("are answered with questions, and no request is ever sent to the client", async () => {
    const client = startServers({ up: odd() });
    const first = await modern(client, "tools/call", ask("roots/list"), { roots: {} });
    expect(first.result).toMatchObject({
      resultType: "input_required",
      inputRequests: { "question-1": { method: "roots/list" } },
    });
    const requestState = first.result?.["requestState"];
    const repeat = { requestState, inputResponses: { "question-1": { roots: [] } } };
    const wrong = [
      { ...ask("roots/list"), ...repeat, requestState: `${String(requestState)}x` },
      { ...ask("ping"), ...repeat },
    ];
    for (const params of wrong)
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      expect(await modern(client, "tools/call", params, { roots: {} })).toMatchObject({
        error: { code: -32602 },
      });
    const last = await modern(client, "tools/call", { ...ask("roots/list"), ...repeat });
    expect(textOf(last.result ?? {})).toContain('"answer":{"roots":[]}');
    expect(
      client.messages.filter(({ method, id }) => method !== undefined && id !== undefined),
    ).toEqual([]);
  });

  it("are refused questions that their client cannot answer", async () => {
    const client = startServers({ up: odd() });
    const { result } = await modern(client, "tools/call", ask("sampling/createMessage"), {
      roots: {},
    });
    expect(textOf(result ?? {})).toContain("-32601");
  });

  it("end when their server is killed while it waits for the client", async () => {
    const client = startServers({ up: odd() });
    const pid = Number(
      textOf((await modern(client, "tools/call", { name: "up__pid" })).result ?? {}),
    );
    const first = await modern(client, "tools/call", ask("roots/list"), { roots: {} });
    process.kill(pid, "SIGKILL");
    const { requestState } = first.result ?? {};
    const repeat = { requestState, inputResponses: { "question-1": { roots: [] } } };
    const last = await modern(
      client,
      "tools/call",
      { ...ask("roots/list"), ...repeat },
      { roots: {} },
    );
    expect(last.result).toMatchObject({
      isError: true,
      _meta: { "holdfast/failure": { code: "connection_lost", outcome: "unknown" } },
    });
  });

  it("show the writes of an inline plan for consent", async () => {
    const inline = { consent: "elicit", allow: ["up__*"] };
    const client = startGateway({ mcpServers: { up: odd() }, builtins: ["run_chain"], inline });
    const plan = {
      name: "holdfast__run_chain",
      arguments: { definition: { steps: [{ id: "a", tool: "up__echo", arguments: { a: 1 } }] } },
    };
    const capabilities = { elicitation: {} };
    const first = await modern(client, "tools/call", plan, capabilities);
    expect(first.result).toMatchObject({
      resultType: "input_required",
      inputRequests: {
        "question-1": {
          method: "elicitation/create",
          params: { message: expect.stringContaining("up__echo") },
        },
      },
    });
    const { requestState } = first.result ?? {};
    const inputResponses = { "question-1": { action: "accept", content: {} } };
    const last = await modern(
      client,
      "tools/call",
      { ...plan, requestState, inputResponses },
      capabilities,
    );
    expect(last.result).toMatchObject({ structuredContent: { state: "completed" } });
  });

  it("hear the log messages that they want", async () => {
    const client = startServers({ up: odd({ logging: "on" }) });
    await client.until(() => true);
    const log = (level: string) => ({ name: "up__log", arguments: { level, data: level } });
    await modern(client, "tools/call", log("error"));
    await modern(client, "tools/call", log("info"), {}, { [levelKey]: "warning" });
    await modern(client, "tools/call", log("alert"), {}, { [levelKey]: "warning" });
    expect(
      client.messages.filter(({ method }) => method === "notifications/message"),
    ).toMatchObject([{ params: { level: "alert", logger: "up" } }]);
    const told = await modern(client, "tools/call", { name: "up__told" });
    expect(JSON.parse(textOf(told.result ?? {}))).toEqual([["logging/setLevel", "warning"]]);
  });

  it("listen to a server that was killed and has come back", async () => {
    const client = startServers({ up: odd({ resources: "x:1" }) });
    const call = async (name: string, args: JsonObject = {}): Promise<string> => {
      const params = { name: `up__${name}`, arguments: args };
      return textOf((await modern(client, "tools/call", params)).result ?? {});
    };
    void modern(client, "subscriptions/listen", {
      notifications: { resourceSubscriptions: ["x:1"] },
    });
    const noted = (method: string): JsonObject[] =>
      client.messages.filter((message) => message["method"] === `notifications/${method}`);
    await client.until(() => noted("subscriptions/acknowledged").length > 0);
    process.kill(Number(await call("pid")), "SIGKILL");
    // oxlint-disable-next-line no-await-in-loop -- it waits
    while (!(await call("told")).includes("resources/subscribe"));
    await call("update", { uri: "x:1" });
    await client.until(() => noted("resources/updated").length > 0);
    expect(noted("resources/updated")).toMatchObject([{ params: { uri: "x:1" } }]);
  });

  it("listen until the gateway ends that", async () => {
    const client = startServers({ up: odd() });
    const listening = modern(client, "subscriptions/listen", {
      notifications: { toolsListChanged: true },
    });
    await client.until(() => client.messages.length > 0);
    expect(client.messages).toMatchObject([
      { params: { _meta: { [idKey]: listening.id }, notifications: { toolsListChanged: true } } },
    ]);
    client.child.kill("SIGTERM");
    expect(await listening).toMatchObject({
      result: { resultType: "complete", _meta: { [idKey]: listening.id } },
    });
  });
});

describe("requests without a session by HTTP, as they are written", () => {
  const headers = { "mcp-protocol-version": "2026-07-28" };
  const post = (url: string, method: string, params: JsonObject = {}, more: JsonObject = {}) =>
    raw(url, {
      headers: { ...headers, "mcp-method": method, ...(more["headers"] as Record<string, string>) },
      body: {
        jsonrpc: "2.0",
        id: 1,
        method,
        params: { ...params, _meta: metaOf({ roots: {} }, more["meta"] as JsonObject) },
      },
    });

  it("are answered as JSON where nothing comes before the answer, else as events", async () => {
    const { url } = await serveHttp({ mcpServers: { up: odd() } });
    const plain = await post(
      url,
      "tools/call",
      { name: "up__echo" },
      { headers: { "mcp-name": "up__echo" } },
    );
    expect(plain).toMatchObject({ status: 200, headers: { "content-type": "application/json" } });
    expect(plain.headers).not.toHaveProperty("mcp-session-id");
    const events = await post(
      url,
      "tools/call",
      { name: "up__burst", arguments: { count: 2 } },
      { headers: { "mcp-name": "up__burst" }, meta: { progressToken: 1 } },
    );
    expect(events.headers["content-type"]).toBe("text/event-stream");
    expect(events.text.match(/^data: /gm)).toHaveLength(3);
  });

  it("are refused by the status that their fault has", async () => {
    const { url } = await serveHttp({ mcpServers: { up: odd() } });
    const bodyOf = ({ text }: { text: string }) => JSON.parse(text) as JsonObject;
    const status = async (answer: Promise<{ status: number; text: string }>) => {
      const got = await answer;
      return [got.status, (bodyOf(got)["error"] as JsonObject)["code"]];
    };
    expect(await status(post(url, "ping"))).toEqual([404, -32601]);
    const call = { name: "up__echo" };
    expect(await status(post(url, "tools/call", call))).toEqual([400, -32020]);
    const other = { "mcp-protocol-version": "2027-01-01" };
    expect(await status(post(url, "tools/list", {}, { headers: other }))).toEqual([400, -32020]);
    const unknown = { "io.modelcontextprotocol/protocolVersion": "2027-01-01" };
    expect(await status(post(url, "tools/list", {}, { headers: other, meta: unknown }))).toEqual([
      400, -32022,
    ]);
    const named = { "mcp-name": "nobody" };
    expect(await status(post(url, "tools/call", { name: "nobody" }, { headers: named }))).toEqual([
      200, -32602,
    ]);
    const body = { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} };
    expect(
      await status(raw(url, { headers: { ...headers, "mcp-method": "tools/list" }, body })),
    ).toEqual([400, -32602]);
    for (const method of ["GET", "DELETE"])
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      expect(
        await raw(url, { method, headers: { ...headers, accept: "text/event-stream" } }),
      ).toMatchObject({ status: 405 });
    const note = { jsonrpc: "2.0", method: "notifications/x", params: { _meta: metaOf() } };
    expect(await raw(url, { headers, body: note })).toMatchObject({ status: 202, text: "" });
  });

  it("end with their response", async () => {
    const { url } = await serveHttp({ mcpServers: { up: odd() } });
    const body = {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: {
        name: "up__steps",
        arguments: { count: 1000, everyMs: 20 },
        _meta: metaOf({}, { progressToken: 1 }),
      },
    };
    const named = { ...headers, "mcp-method": "tools/call", "mcp-name": "up__steps" };
    const stream = await listen(url, { method: "POST", headers: named, body });
    await stream.until(1);
    stream.cut();
    let seen = "[]";
    while (seen === "[]") {
      // oxlint-disable-next-line no-await-in-loop -- it waits
      const { text } = await post(
        url,
        "tools/call",
        { name: "up__cancelled" },
        { headers: { "mcp-name": "up__cancelled" } },
      );
      seen = textOf((JSON.parse(text) as { result: JsonObject }).result);
    }
    expect(JSON.parse(seen)).toHaveLength(1);
  });

  it("ask each client its own questions, though they share a server", async () => {
    const { url } = await serveHttp({ mcpServers: { up: odd() } });
    const named = { headers: { "mcp-name": "up__ask" } };
    const resultOf = ({ text }: { text: string }) =>
      (JSON.parse(text) as { result: JsonObject }).result;
    const run = async (client: number): Promise<string> => {
      const call = ask("roots/list", { client });
      const first = resultOf(await post(url, "tools/call", call, named));
      expect(first).toMatchObject({ inputRequests: { "question-1": { params: { client } } } });
      const { requestState } = first;
      const inputResponses = { "question-1": { roots: [{ uri: `file:///${client}` }] } };
      return textOf(
        resultOf(await post(url, "tools/call", { ...call, requestState, inputResponses }, named)),
      );
    };
    await run(0);
    const texts = await Promise.all([1, 2, 3, 4].map(run));
    expect(texts.map((text) => /file:\/\/\/\d/.exec(text)?.[0])).toEqual(
      [1, 2, 3, 4].map((client) => `file:///${client}`),
    );
  });

  it("wait for their own principal alone", async () => {
    const tokens = ["anna", "ben"].map((name) => ({
      name,
      token: `\${TOKEN_OF_${name.toUpperCase()}}`,
    }));
    const env = { TOKEN_OF_ANNA: "a".repeat(20), TOKEN_OF_BEN: "b".repeat(20) };
    const { url } = await serveHttp({ mcpServers: { up: odd() }, http: { tokens } }, { env });
    const send = async (token: string, params: JsonObject): Promise<JsonObject> => {
      const named = { "mcp-name": "up__ask", authorization: `Bearer ${token}` };
      const { text } = await post(url, "tools/call", params, { headers: named });
      return JSON.parse(text) as JsonObject;
    };
    const call = ask("roots/list");
    const first = await send(env.TOKEN_OF_ANNA, call);
    const { requestState } = first["result"] as JsonObject;
    const repeat = { ...call, requestState, inputResponses: { "question-1": { roots: [] } } };
    expect(await send(env.TOKEN_OF_BEN, repeat)).toMatchObject({ error: { code: -32602 } });
    expect(await send(env.TOKEN_OF_ANNA, repeat)).toMatchObject({ result: { content: [{}] } });
  });

  it("listen until the gateway ends that", async () => {
    const { url, stop } = await serveHttp({
      mcpServers: { up: odd() },
      http: { keepAliveMs: 1000 },
    });
    const body = {
      jsonrpc: "2.0",
      id: "mine",
      method: "subscriptions/listen",
      params: { notifications: { toolsListChanged: true }, _meta: metaOf() },
    };
    const named = { ...headers, "mcp-method": "subscriptions/listen" };
    const stream = await listen(url, { method: "POST", headers: named, body });
    await stream.until(1);
    expect(stream.messages).toMatchObject([{ params: { _meta: { [idKey]: "mine" } } }]);
    await stop();
    await stream.ended;
    expect(stream.messages[1]).toMatchObject({ id: "mine", result: { resultType: "complete" } });
  });
});
