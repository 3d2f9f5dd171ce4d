import { describe, expect, it } from "vitest";
import { odd, startGateway, startServers } from "../support/gateway.ts";
import { textOf } from "../support/raw-client.ts";

const namesOf = (tools: { [name: string]: unknown }[]): unknown[] => tools.map(({ name }) => name);

describe("servers that do not start", () => {
  it("are no reason to wait: initialize is answered, and the healthy ones are served", async () => {
    const healthy = Object.fromEntries(
      Array.from({ length: 9 }, (_, n) => [`h${n}`, odd({ tools: "echo", name: `h${n}` })]),
    );
    const client = startServers({ hanging: odd({ start: "hang" }), ...healthy });
    await client.initialize();
    expect(namesOf(await client.tools())).toEqual([
      "holdfast__status",
      ...Object.keys(healthy).map((name) => `${name}__echo`),
    ]);
    expect(textOf(await client.call("h8__echo", { a: 1 }))).toBe('{"a":1}');
    const { structuredContent } = await client.call("holdfast__status");
    expect(structuredContent).toMatchObject({
      upstreams: [
        { name: "hanging", state: "connecting" },
        ...Object.keys(healthy).map((name) => ({ name, state: "ready" })),
      ],
    });
  });

  it("are named with the reason: a missing command, and one that exits with its last words", async () => {
    const client = startServers({
      missing: { command: "no-such-command-anywhere" },
      exits: odd({ start: "exit" }),
      good: odd({ tools: "echo" }),
    });
    await client.initialize();
    expect(namesOf(await client.tools())).toEqual(["holdfast__status", "good__echo"]);
    const { structuredContent } = await client.call("holdfast__status");
    const { problems } = structuredContent as { problems: string[] };
    expect(problems).toEqual([
      expect.stringContaining('command "no-such-command-anywhere" was not found'),
      expect.stringMatching(/exited with code 3; its last words: odd-server: cannot open the flux/),
    ]);
  });
});

describe("secrets of config", () => {
  it("reach nobody by what a server says last, or prints", async () => {
    const env = { API_TOKEN: "s3cret-0123456789" };
    const run = (code: string) => ({ command: process.execPath, args: ["-e", code], env });
    const client = startServers({
      says: run("console.error('x'.repeat(290), process.env.API_TOKEN); process.exit(1)"),
      prints: run("console.log('y'.repeat(70), process.env.API_TOKEN); process.exit(1)"),
    });
    await client.initialize();
    await client.tools();
    const { structuredContent } = await client.call("holdfast__status");
    const { problems } = structuredContent as { problems: string[] };
    expect(problems[0]).toMatch(/its last words: x+ \[secret\]?/);
    const failure = textOf(await client.call("says__anything"));
    await client.until(() => client.stderr.includes("not JSON-RPC"));
    for (const text of [JSON.stringify(structuredContent), failure, client.stderr])
      expect(text).not.toContain("s3c");
  });
});

describe("a server that writes garbage to stdout", () => {
  it("is served all the same, and nothing of it reaches the client", async () => {
    const client = startServers({ odd: odd({ start: "banner", tools: "echo,garbage" }) });
    await client.initialize();
    expect(await client.tools()).toHaveLength(3);
    expect(textOf(await client.call("odd__garbage"))).toBe("after garbage");
    expect(textOf(await client.call("odd__echo", { x: 1 }))).toBe('{"x":1}');
    expect(client.stderr).toContain("Welcome to odd-server!");
  });
});

describe("a call", () => {
  it("passes arguments, unknown parameters and _meta on, and back comes everything as it was sent", async () => {
    const client = startServers({ odd: odd() });
    await client.initialize();
    await client.tools();
    const params = {
      name: "odd__params",
      arguments: { deep: [{ x: null }, "é\u2028\ud83d\ude00"] },
      other: { kept: true },
      _meta: { "example.com/a": { b: 1 } },
    };
    const { result } = await client.request("tools/call", params);
    expect(JSON.parse(textOf(result ?? {}))).toEqual({ ...params, name: "params" });
    expect(await client.call("odd__odd_content")).toEqual({
      content: [{ type: "hologram", depth: 3, nested: { x: [null, 1.5, "é\u2028"] } }],
      structuredContent: { a: 1 },
      isError: true,
      extra: { kept: true },
      _meta: { "example.com/trace": "t1" },
    });
  });

  it("brings back code, message and data of the server's own error", async () => {
    const client = startServers({ odd: odd() });
    await client.initialize();
    await client.tools();
    expect(await client.call("odd__rpc_error")).toEqual({
      error: { code: -32099, message: "MCP error -1: kept as it is", data: { why: [1] } },
    });
  });

  it("of a tool that is not there is answered with -32602", async () => {
    const client = startServers({ odd: odd({ tools: "echo" }) });
    await client.initialize();
    for (const params of [{ name: "odd__nope" }, { name: 3 }, { name: "odd__echo", _meta: 1 }])
      expect(await client.request("tools/call", params)).toMatchObject({ error: { code: -32602 } });
    expect(await client.request("no/such-method")).toMatchObject({ error: { code: -32601 } });
    // Of the newer era, and without what each of its requests says of itself.
    expect(await client.request("server/discover")).toMatchObject({ error: { code: -32602 } });
    client.child.stdin?.write("this is no JSON\n");
    await client.until(() =>
      client.messages.some(({ error }) => (error as { code?: number })?.code === -32700),
    );
  });

  it("answered with result null is a bad answer that the model can read", async () => {
    const client = startServers({ odd: odd() });
    await client.initialize();
    await client.tools();
    const result = await client.call("odd__null_result");
    expect(result).toMatchObject({
      isError: true,
      _meta: { "holdfast/failure": { code: "bad_answer", outcome: "unknown" } },
    });
    expect(textOf(result)).toContain("got result null");
  });

  it("gets 300 progress notes that come in one chunk with its answer, all, in order, before it", async () => {
    const client = startServers({ odd: odd() });
    await client.initialize();
    await client.tools();
    const from = client.messages.length;
    await client.call("odd__burst", { count: 300 }, { progressToken: "mine" });
    const messages = client.messages.slice(from);
    expect(messages).toHaveLength(301);
    expect(messages.slice(0, 300).map(({ params }) => params)).toEqual(
      Array.from({ length: 300 }, (_, n) => ({
        progressToken: "mine",
        progress: n + 1,
        total: 300,
        message: `note ${n + 1}`,
      })),
    );
    expect(messages[300]).toHaveProperty("result");
  });

  it("that is cancelled is cancelled at the server under its own id, and never answered", async () => {
    const client = startServers({ odd: odd() });
    await client.initialize();
    await client.tools();
    const { id } = client.request("tools/call", { name: "odd__never", arguments: {} });
    await client.call("odd__echo"); // the first one is under way now
    client.send({
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: id, reason: "enough" },
    });
    const [note] = JSON.parse(textOf(await client.call("odd__cancelled"))) as {
      requestId: number;
      reason: string;
    }[];
    expect(note?.reason).toBe("enough");
    expect(note?.requestId).toBeGreaterThanOrEqual(1e9);
    expect(client.messages.filter((message) => message["id"] === id)).toEqual([]);
  });

  it("without an answer times out, the server is told, and the late answer is dropped", async () => {
    const client = startGateway({
      mcpServers: {
        odd: {
          ...odd(),
          tools: { overrides: { sleep: { policies: { timeout: { attemptMs: 300 } } } } },
        },
      },
    });
    await client.initialize();
    await client.tools();
    const result = await client.call("odd__sleep", { ms: 600 });
    expect(result).toMatchObject({
      isError: true,
      _meta: { "holdfast/failure": { code: "timeout", outcome: "unknown" } },
    });
    expect(JSON.parse(textOf(await client.call("odd__cancelled")))).toHaveLength(1);
    await client.call("odd__sleep", { ms: 500 }); // the first one answers in the meantime
    expect(client.messages.filter(({ id }) => id === undefined)).toEqual([]);
  });

  it("whose progress goes on is given more time", async () => {
    const client = startGateway({
      policies: { timeout: { attemptMs: 400, totalMs: 500 } },
      mcpServers: { odd: odd() },
    });
    await client.initialize();
    await client.tools();
    const steps = { count: 6, everyMs: 200 };
    expect(textOf(await client.call("odd__steps", steps, { progressToken: 1 }))).toBe("stepped");
    expect(await client.call("odd__steps", steps)).toMatchObject({ isError: true });
  });

  it("passes a large answer as it is", async () => {
    const client = startServers({ odd: odd() });
    await client.initialize();
    await client.tools();
    expect(textOf(await client.call("odd__large", { bytes: 12_000_000 }))).toHaveLength(12_000_000);
  });
});

describe("the list of tools", () => {
  it("holds every page; tools that hosts refuse are mended with one warning each, all others are as they were", async () => {
    const client = startServers({ odd: odd() });
    await client.initialize();
    const tools = new Map((await client.tools()).map((tool) => [tool["name"], tool]));
    expect(tools.get("odd__no_type")).toMatchObject({
      inputSchema: { type: "object", properties: { a: {} } },
    });
    expect(tools.get("odd__no_schema")).toMatchObject({ inputSchema: { type: "object" } });
    expect(tools.get("odd__bad_output")).not.toHaveProperty("outputSchema");
    expect(tools.get("odd__decorated")).toEqual({
      name: "odd__decorated",
      title: "Decorated",
      inputSchema: {
        type: "object",
        $schema: "http://json-schema.org/draft-07/schema#",
        "x-unknown": 1,
      },
      annotations: { readOnlyHint: true, "x-hint": 2 },
      icons: [{ src: "data:image/png;base64,AA==", sizes: ["48x48"] }],
      _meta: { "example.com/kept": [1] },
      unknownField: { deep: true },
    });
    for (const name of ["no_type", "no_schema", "bad_output"])
      expect(client.stderr.match(new RegExp(`tool ${name}:`, "g"))).toHaveLength(1);
    for (const name of tools.keys()) expect(name).toMatch(/^[A-Za-z0-9_-]{1,49}$/);
    const long = [...tools.keys()].find((name) => String(name).startsWith("odd__xxx"));
    expect(textOf(await client.call(String(long)))).toBe("long");
  });

  it("has names that collide apart, and each reaches its own tool", async () => {
    const client = startServers({
      one: { ...odd({ tools: "a.b,a_b,pid", name: "one" }), prefix: "" },
      two: { ...odd({ tools: "pid", name: "two" }), prefix: "" },
    });
    await client.initialize();
    const names = namesOf(await client.tools()).map(String);
    expect(new Set(names).size).toBe(5);
    const [, dotted = "", underscored = "", first = "", second = ""] = names;
    expect([underscored, first]).toEqual(["a_b", "pid"]);
    expect(textOf(await client.call(dotted))).toBe("a.b");
    expect(textOf(await client.call(underscored))).toBe("a_b");
    expect(textOf(await client.call(first))).not.toBe(textOf(await client.call(second)));
  });

  it("shows what config allows, under the titles that config gives", async () => {
    const client = startServers({
      odd: {
        ...odd({ tools: "echo,pid,params" }),
        prefix: "o",
        tools: {
          deny: ["pid"],
          overrides: { echo: { title: "Echo!", description: "Says it again" } },
        },
      },
    });
    await client.initialize();
    expect(await client.tools()).toMatchObject([
      { name: "holdfast__status" },
      { name: "o__echo", title: "Echo!", description: "Says it again" },
      { name: "o__params" },
    ]);
    expect(await client.call("o__pid")).toMatchObject({ error: { code: -32602 } });
  });

  it("changes with the server's, and the client is told once", async () => {
    const client = startServers({ odd: odd({ tools: "echo,change" }) });
    await client.initialize();
    expect(await client.tools()).toHaveLength(3);
    await client.call("odd__change", { tools: ["echo", "change", "pid"] });
    await client.until(() =>
      client.messages.some(({ method }) => method === "notifications/tools/list_changed"),
    );
    expect(namesOf(await client.tools())).toContain("odd__pid");
  });
});

describe("a server's environment", () => {
  it("is what config gives it and a safe part of ours", async () => {
    const client = startGateway(
      { mcpServers: { odd: { ...odd(), env: { OWN: "${GIVEN}-1" } } } },
      { GIVEN: "given", SECRET_OF_ANOTHER: "hidden" },
    );
    await client.initialize();
    await client.tools();
    const environment = JSON.parse(textOf(await client.call("odd__environment"))) as Record<
      string,
      string
    >;
    expect(environment).toMatchObject({ OWN: "given-1", PATH: process.env["PATH"] });
    expect(environment).not.toHaveProperty("SECRET_OF_ANOTHER");
    expect(environment).not.toHaveProperty("GIVEN");
  });

  it("that names a missing variable disables that server only, and the variable is named", async () => {
    const client = startServers({
      broken: { ...odd(), env: { TOKEN: "${HOLDFAST_TEST_MISSING}" } },
      good: odd({ tools: "echo" }),
    });
    await client.initialize();
    expect(namesOf(await client.tools())).toEqual(["holdfast__status", "good__echo"]);
    expect(textOf(await client.call("holdfast__status"))).toContain("HOLDFAST_TEST_MISSING");
  });
});
