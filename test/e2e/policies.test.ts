import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { configFile, odd, root, startGateway, temporaryFolder } from "../support/gateway.ts";
import { textOf, type RawClient } from "../support/raw-client.ts";

const program = fileURLToPath(new URL("../support/flaky-server.mjs", import.meta.url));
const flaky = (over: JsonObject = {}): JsonObject => ({
  command: process.execPath,
  args: [program, `--log=${join(temporaryFolder(), "log")}`],
  ...over,
});
const everything = {
  command: process.execPath,
  args: [join(root, "node_modules/@modelcontextprotocol/server-everything/dist/index.js"), "stdio"],
};
const overrides = (of: JsonObject): JsonObject => ({ tools: { overrides: of } });
const failureOf = (result: JsonObject): JsonObject =>
  ((result["_meta"] as JsonObject | undefined)?.["holdfast/failure"] ?? {}) as JsonObject;
const metaOf = (result: JsonObject, name: string): unknown =>
  (result["_meta"] as JsonObject | undefined)?.[name];
const structured = (result: JsonObject): JsonObject => result["structuredContent"] as JsonObject;

const sleepABit = () => new Promise((resolve) => setTimeout(resolve, 50));

async function start(config: JsonObject, env: NodeJS.ProcessEnv = {}): Promise<RawClient> {
  const client = startGateway({ builtins: ["*"], ...config }, env);
  await client.initialize();
  await client.tools();
  return client;
}

describe("a write whose answer is lost", () => {
  const verified = overrides({
    write: {
      verify: {
        tool: "f__times",
        arguments: { id: "${{ arguments.id }}" },
        happened: "${{ result.times > 0 }}",
      },
    },
  });

  it("is settled by the tool that can tell: done, so that it is not sent again", async () => {
    const client = await start({ mcpServers: { f: flaky(verified) } });
    const result = await client.call("f__write", { id: "a", plan: ["do-and-drop"] });
    expect(failureOf(result)).toMatchObject({ code: "bad_answer", outcome: "done" });
    expect(textOf(result)).toContain("It was done: do not call it again.");
    expect(structured(await client.call("f__times", { id: "a" }))).toEqual({ times: 1 });
  });

  it("is settled: not done, so that it is sent again", async () => {
    const client = await start({ mcpServers: { f: flaky(verified) } });
    const result = await client.call("f__write", { id: "b", plan: ["drop", "drop"] });
    expect(textOf(result)).toBe("did b");
    expect(structured(await client.call("f__times", { id: "b" }))).toEqual({ times: 1 });
  });

  it("is reported as unknown where nobody can tell, and nothing else is offered", async () => {
    const client = await start({ mcpServers: { f: flaky(), g: flaky() } });
    const result = await client.call("f__write", { id: "c", plan: ["do-and-drop"] });
    const failure = { code: "bad_answer", outcome: "unknown", attempts: 1 };
    expect(failureOf(result)).toMatchObject(failure);
    expect(failureOf(result)["alternatives"]).toBeUndefined();
    expect(textOf(result)).toMatch(
      /It is not known whether it was done\. Find out before you try again\.$/,
    );
  });
});

describe("a read that fails", () => {
  it("says how often it was tried, and what else can be used that works", async () => {
    const servers = { f: flaky(), g: flaky(), dead: odd({ start: "exit" }) };
    const client = await start({ mcpServers: servers });
    const plan = ["drop", "drop", "drop"];
    const result = await client.call("f__read", { id: "r", plan });
    expect(failureOf(result)).toMatchObject({ attempts: 3, alternatives: ["g__read"] });
    expect(textOf(result)).toMatch(
      /It was tried 3 times\. You may try again\. You can use g__read instead\.$/,
    );
  });
});

describe("the cache", () => {
  const cached = { policies: { cache: { enabled: true } } };

  it("gives an answer again, marked, until its server is written to or it is told to forget", async () => {
    const client = await start({ mcpServers: { f: flaky(cached) } });
    const read = () => client.call("f__read", { id: "r" });
    const times = async () => (await client.call("f__executions")) && undefined;
    await times();
    expect(metaOf(await read(), "holdfast/cache")).toBeUndefined();
    expect(metaOf(await read(), "holdfast/cache")).toMatchObject({ hit: true, stale: false });
    await client.call("f__write", { id: "w" });
    expect(metaOf(await read(), "holdfast/cache")).toBeUndefined();
    expect(metaOf(await read(), "holdfast/cache")).toMatchObject({ hit: true });
    const forgotten = await client.call("holdfast__invalidate_cache", { tool: "f__read" });
    expect(structured(forgotten)).toEqual({ removed: 1 });
    expect(metaOf(await read(), "holdfast/cache")).toBeUndefined();
    const wrong = await client.call("holdfast__invalidate_cache", { tool: "x", all: true });
    expect(textOf(wrong)).toContain("expected one of tool, upstream, pattern");
  });

  it("forgets what a tool of another server says that it changes", async () => {
    const writer = flaky(overrides({ write: { invalidates: ["f__re*"] } }));
    const client = await start({ mcpServers: { f: flaky(cached), g: writer } });
    const read = () => client.call("f__read", { id: "r" });
    await read();
    await client.call("g__write", { id: "w" });
    expect(metaOf(await read(), "holdfast/cache")).toBeUndefined();
    expect(metaOf(await read(), "holdfast/cache")).toMatchObject({ hit: true });
  });

  it("forgets what its server had when its lists change", async () => {
    // Both only read, so that nothing but the notification can end what is kept.
    const reads = { effect: "read", policies: { cache: { enabled: true } } };
    const server = {
      ...odd({ tools: "echo,change" }),
      ...overrides({ echo: reads, change: { effect: "read" } }),
    };
    const client = await start({ mcpServers: { o: server } });
    const echo = () => client.call("o__echo", { a: 1 });
    await echo();
    expect(metaOf(await echo(), "holdfast/cache")).toMatchObject({ hit: true });
    await client.call("o__change", { tools: ["echo", "change", "pid"] });
    await client.until(() =>
      client.messages.some(({ method }) => method === "notifications/tools/list_changed"),
    );
    expect(metaOf(await echo(), "holdfast/cache")).toBeUndefined();
  });

  it("forgets a resource when its server says that it was updated", async () => {
    const client = await start({ mcpServers: { e: { ...everything, ...cached } } });
    const uri = "demo://resource/dynamic/blob/3";
    const updates = () =>
      client.messages.filter(({ method }) => method === "notifications/resources/updated").length;
    const isKept = async (): Promise<boolean> => {
      const { result } = await client.request("resources/read", { uri });
      return metaOf(result ?? {}, "holdfast/cache") !== undefined;
    };
    await client.request("resources/subscribe", { uri });
    await client.call("e__toggle-subscriber-updates");
    await client.until(() => updates() > 0);
    await isKept();
    expect(await isKept()).toBe(true);
    const before = updates();
    await client.until(() => updates() > before);
    expect(await isKept()).toBe(false);
  });

  it("is warmed when its server connects", async () => {
    const warm = overrides({
      read: { policies: { cache: { enabled: true, warm: [{ id: "warm" }] } } },
    });
    const client = await start({ mcpServers: { f: flaky(warm) } });
    let result: JsonObject;
    do result = await client.call("f__times", { id: "warm" });
    while (structured(result)["times"] === 0);
    do result = await client.call("f__read", { id: "warm" });
    while (metaOf(result, "holdfast/cache") === undefined);
    expect(structured(await client.call("f__times", { id: "warm" }))).toEqual({ times: 1 });
  });
});

describe("a newer call with the same key", () => {
  it("takes the place of the older one, which is told so", async () => {
    const client = await start({
      mcpServers: { f: flaky(overrides({ write: { supersede: "${{ arguments.id }}" } })) },
    });
    const older = client.call("f__write", { id: "s", plan: ["hang"] });
    const newer = await client.call("f__write", { id: "s", plan: ["hang"] });
    expect(textOf(newer)).toBe("did s");
    expect(failureOf(await older)).toMatchObject({ code: "cancelled" });
  });
});

describe("a group of providers", () => {
  const groups = {
    lookup: {
      description: "Looks something up",
      inputSchema: { properties: { what: { type: "string" } }, required: ["what"] },
      strategy: "cheapest",
      providers: [
        {
          tool: "f__read",
          priceUsd: 0.001,
          arguments: { id: "${{ input.what }}", plan: ["drop", "drop", "drop"] },
        },
        {
          tool: "g__times",
          priceUsd: 0.01,
          reputation: 90,
          capabilities: ["count"],
          arguments: { id: "${{ input.what }}" },
          result: { count: "${{ result.times }}", of: "${{ input.what }}" },
        },
      ],
    },
  };

  it("is one tool, which asks the next provider when one fails", async () => {
    const client = await start({ mcpServers: { f: flaky(), g: flaky() }, groups });
    const listed = (await client.tools()).find(({ name }) => name === "holdfast__lookup");
    expect(listed).toMatchObject({
      description: "Looks something up",
      annotations: { readOnlyHint: true },
      inputSchema: { type: "object", required: ["what"] },
    });
    const result = await client.call("holdfast__lookup", { what: "kelp" });
    expect(structured(result)).toEqual({ count: 0, of: "kelp" });
    expect(metaOf(result, "holdfast/provider")).toBe("g__times");
  });

  it("can be looked into", async () => {
    const client = await start({ mcpServers: { f: flaky(), g: flaky() }, groups });
    const found = await client.call("holdfast__find_providers", { capabilities: ["count"] });
    expect(structured(found)["providers"]).toMatchObject([
      { group: "lookup", tool: "g__times", available: true, effect: "read", priceUsd: 0.01 },
    ]);
    const all = await client.call("holdfast__find_providers", {
      group: "lookup",
      maxPriceUsd: 0.005,
    });
    expect(structured(all)["providers"]).toMatchObject([{ tool: "f__read" }]);
  });
});

describe("a budget", () => {
  it("is kept over restarts, and alerts", async () => {
    const env = { HOLDFAST_STATE_DIR: temporaryFolder() };
    const config = {
      policies: { budget: { perDayUsd: 0.03 } },
      mcpServers: { f: flaky(overrides({ write: { costUsd: 0.01 } })) },
    };
    const first = await start(config, env);
    await first.call("f__write", { id: "1" });
    await first.call("f__write", { id: "2" });
    await first.close();
    const second = await start(config, env);
    expect(textOf(await second.call("f__write", { id: "3" }))).toBe("did 3");
    const refused = await second.call("f__write", { id: "4" });
    expect(failureOf(refused)).toMatchObject({ code: "budget_spent", outcome: "failed" });
    expect(textOf(refused)).toContain("0.03 of 0.03 USD are spent");
    expect(textOf(await second.call("f__read", { id: "free" }))).toBe("did free");
    const status = structured(await second.call("holdfast__status"));
    expect(status["budgets"]).toMatchObject([{ account: "all", usd: 0.03 }]);
    expect(JSON.stringify(status["alerts"])).toContain("0.03");
  });
});

describe("a large result", () => {
  it("is given in pages, and as a resource", async () => {
    const client = await start({
      policies: { result: { maxBytes: 1000 } },
      mcpServers: { o: odd({ tools: "large,echo" }) },
    });
    const result = await client.call("o__large", { bytes: 2500 });
    const { id, pages } = metaOf(result, "holdfast/result") as { id: string; pages: number };
    expect(pages).toBe(3);
    expect(textOf(result).startsWith("x".repeat(1000))).toBe(true);
    const texts = [];
    for (let page = 1; page <= pages; page++)
      texts.push(structured(await client.call("holdfast__read_result", { id, page }))["text"]);
    expect(texts.join("")).toBe("x".repeat(2500));
    const { result: read } = await client.request("resources/read", {
      uri: `holdfast://results/${id}`,
    });
    expect(read).toMatchObject({ contents: [{ text: "x".repeat(2500) }] });
    expect(textOf(await client.call("o__echo", { small: true }))).toBe('{"small":true}');
    const unknown = await client.call("holdfast__read_result", { id: "nothing" });
    expect(unknown).toMatchObject({ isError: true });
  });
});

describe("a batch", () => {
  it("calls one tool for each item, with a result or an error in order, and tells its progress", async () => {
    const client = await start({ mcpServers: { f: flaky() }, policies: { retry: false } });
    const items = [{ id: "a" }, { id: "b", plan: ["drop"] }, { id: "c" }];
    const result = structured(
      await client.call("holdfast__batch", { tool: "f__write", items }, { progressToken: "p" }),
    );
    expect(result).toMatchObject({
      done: 2,
      failed: 1,
      results: [
        { index: 0, ok: true },
        { index: 1, ok: false, error: { code: "bad_answer", outcome: "unknown" } },
        { index: 2, ok: true },
      ],
    });
    const notes = client.messages.filter(({ method }) => method === "notifications/progress");
    expect(notes.at(-1)?.["params"]).toMatchObject({ progress: 3, total: 3 });
    const itself = await client.call("holdfast__batch", { tool: "holdfast__batch", items: [] });
    expect(itself).toMatchObject({ isError: true });
  });
});

describe("a user's own middleware", () => {
  const example = join(root, "examples/middleware/audit.mjs");

  it("sees each call with its caller, as the example does", async () => {
    const file = join(temporaryFolder(), "audit.jsonl");
    const client = await start(
      { middleware: [example], mcpServers: { f: flaky() } },
      { AUDIT_FILE: file },
    );
    await client.call("f__write", { id: "w" });
    await client.call("f__read", { id: "r" });
    const lines = readFileSync(file, "utf8").trim().split("\n");
    expect(lines.map((line) => JSON.parse(line) as JsonObject)).toMatchObject([
      { tool: "f__write", principal: "local", client: "raw-client 1.0.0", outcome: "done" },
    ]);
  });

  it("is told with its name when it fails or answers nonsense, and hurts no other call", async () => {
    const file = join(temporaryFolder(), "mine.mjs");
    writeFileSync(
      file,
      `export default (next) => async (call) => {
        const { id } = call.params.arguments ?? {};
        if (id === "before") throw new Error("I trip");
        const result = await next(call);
        if (id === "after") throw new Error("I fall");
        return id === "nonsense" ? "what?" : result;
      };`,
    );
    const client = await start({ middleware: [file], mcpServers: { f: flaky() } });
    const before = await client.call("f__write", { id: "before" });
    expect(failureOf(before)).toMatchObject({ code: "denied", outcome: "failed" });
    expect(textOf(before)).toContain(`the middleware ${file} failed: I trip`);
    expect(failureOf(await client.call("f__write", { id: "after" }))).toMatchObject({
      outcome: "unknown",
    });
    const nonsense = await client.call("f__write", { id: "nonsense" });
    expect(textOf(nonsense)).toContain('answered "what?", expected a result object');
    expect(textOf(await client.call("f__write", { id: "fine" }))).toBe("did fine");
  });

  it("that is not there is named at the start", async () => {
    const missing = join(temporaryFolder(), "missing.mjs");
    const client = startGateway(configFile({ middleware: [missing], mcpServers: {} }));
    expect(await client.exited).toBe(2);
    expect(existsSync(missing)).toBe(false);
    expect(client.stderr).toContain(`${missing}: this middleware cannot be used`);
  });

  it("that throws when it is put in place is named, and changes nothing in a gateway that runs", async () => {
    const bad = join(temporaryFolder(), "bad.mjs");
    writeFileSync(bad, "export default () => { throw new Error('boom'); };");
    const config = { builtins: ["status"], mcpServers: { f: flaky() } };
    const file = configFile(config);
    const client = startGateway(file);
    await client.initialize();
    await client.tools();
    writeFileSync(file, JSON.stringify({ ...config, middleware: [bad] }));
    await client.until(() => client.stderr.includes("the one before stays"));
    expect(client.stderr).toContain(`${bad}: this middleware cannot be used: boom`);
    expect(textOf(await client.call("f__write", { id: "still" }))).toBe("did still");
    const broken = startGateway(configFile({ ...config, middleware: [bad] }));
    expect(await broken.exited).toBe(2);
    expect(broken.stderr).toContain(bad);
  });
});

describe("a config file that changes", () => {
  it("keeps what circuits have learnt, unless the policies of their server change", async () => {
    const broken = { retry: false, circuitBreaker: { consecutiveFailures: 2 } };
    const config = (more: JsonObject, policies: JsonObject = broken): JsonObject => ({
      builtins: ["*"],
      policies,
      mcpServers: { f: { ...server, ...more } },
    });
    const server = flaky();
    const file = configFile(config({}));
    const client = startGateway(file);
    await client.initialize();
    await client.tools();
    const circuit = async (): Promise<unknown> => {
      const status = structured(await client.call("holdfast__status"));
      expect(JSON.stringify(status["alerts"]).includes("circuit")).toBe(
        JSON.stringify(status["upstreams"]).includes('"state":"open"'),
      );
      return (status["upstreams"] as { circuits: { state: string }[] }[])[0]?.circuits[0]?.state;
    };
    for (let n = 0; n < 2; n++) await client.call("f__write", { id: `${n}`, plan: ["drop"] });
    expect(await circuit()).toBe("open");
    writeFileSync(file, JSON.stringify(config({ prefix: "p" })));
    while (!(await client.tools()).some(({ name }) => name === "p__write")) await sleepABit();
    expect(await circuit()).toBe("open");
    writeFileSync(
      file,
      JSON.stringify(config({ prefix: "q" }, { ...broken, bulkhead: { maxConcurrent: 5 } })),
    );
    while (!(await client.tools()).some(({ name }) => name === "q__write")) await sleepABit();
    expect(await circuit()).toBeUndefined();
  });
});

describe("holdfast__status", () => {
  it("tells circuits, queues, caches, counts and alerts", async () => {
    const client = await start({
      mcpServers: { f: flaky() },
      policies: {
        retry: false,
        circuitBreaker: { consecutiveFailures: 2 },
        cache: { enabled: true },
      },
    });
    for (let n = 0; n < 3; n++) await client.call("f__write", { id: `${n}`, plan: ["drop"] });
    const status = structured(await client.call("holdfast__status"));
    const [upstream] = status["upstreams"] as JsonObject[];
    expect(upstream).toMatchObject({
      name: "f",
      state: "ready",
      circuits: [{ state: "open", retryAfterMs: expect.any(Number) as number }],
      waiting: { rateLimit: 0, bulkhead: 0 },
      cache: { hits: 0 },
      figures: { calls: 3, failures: 3, circuitTrips: 1 },
    });
    expect(status["memory"]).toMatchObject({ rssBytes: expect.any(Number) as number });
    expect(JSON.stringify(status["alerts"])).toContain("circuit");
  });
});
