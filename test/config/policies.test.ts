import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { policiesOf, type ServerConfig } from "../../src/config/server.ts";

const parse = (config: object) =>
  parseConfig(JSON.stringify(config), { file: "/w/servers.json", env: {}, home: "/h" });

function serverOf(config: object): ServerConfig {
  const [server] = parse(config).servers;
  if (server === undefined) throw new Error("unreachable");
  return server;
}

const withTools = (overrides: object, more: object = {}): object => ({
  mcpServers: { one: { command: "x", tools: { overrides }, ...more } },
});

describe("policies", () => {
  test("have the defaults that are documented", () => {
    const { policies } = serverOf({ mcpServers: { one: { command: "x" } } });
    expect(policies).toMatchObject({
      retry: {
        maxAttempts: 3,
        initialDelayMs: 100,
        factor: 2,
        jitter: "full",
        budgetRatio: 0.2,
        budgetFloor: 10,
        retryWrites: false,
      },
      circuitBreaker: {
        consecutiveFailures: 5,
        failureRatio: 0.5,
        minimumCalls: 10,
        windowMs: 30_000,
        openMs: 30_000,
        maxOpenMs: 300_000,
        halfOpenCalls: 1,
      },
      rateLimit: { requestsPerSecond: 0, burst: 0, maxWaitMs: 30_000, maxQueue: 100 },
      bulkhead: { maxConcurrent: 64, maxQueue: 1000 },
      cache: {
        enabled: false,
        minTtlMs: 60_000,
        maxTtlMs: 3_600_000,
        ttlMs: 300_000,
        hitRateTarget: 0.8,
        maxEntries: 1000,
        maxBytes: 67_108_864,
        staleMs: 0,
      },
      coalesce: { enabled: true, onDuplicate: "share" },
      hedge: { enabled: false, afterMs: 2000, maxExtra: 1 },
      budget: { perCallUsd: 0, perDayUsd: 0, perSessionUsd: 0, alertRatio: 0.8 },
      result: { maxBytes: 0 },
    });
  });

  test("of a tool that says nothing of one are the very object of its server, whose state it shares", () => {
    const server = serverOf(
      withTools({ t: { policies: { rateLimit: { requestsPerSecond: 1 } } } }),
    );
    expect(policiesOf(server, "t").bulkhead).toBe(server.policies.bulkhead);
    expect(policiesOf(server, "t").rateLimit).not.toBe(server.policies.rateLimit);
  });

  test("fit each other: a time to live outside of its bounds moves them", () => {
    const { policies } = serverOf({
      mcpServers: { one: { command: "x" } },
      policies: { cache: { ttlMs: 1000 } },
    });
    expect(policies.cache).toMatchObject({ minTtlMs: 1000, ttlMs: 1000, maxTtlMs: 3_600_000 });
  });
});

describe("budgets", () => {
  test("hold at each level that has one", () => {
    const server = serverOf({
      policies: { budget: { perDayUsd: 5 } },
      ...withTools(
        { t: { costUsd: 1, policies: { budget: { perCallUsd: 2 } } } },
        { policies: { budget: { perSessionUsd: 3 } } },
      ),
    });
    expect(server.budgets).toMatchObject([
      { account: "all", options: { perDayUsd: 5, perSessionUsd: 0 } },
      { account: "server one", options: { perSessionUsd: 3, perDayUsd: 0 } },
    ]);
    expect(server.overrides.get("t")?.budgets.at(-1)).toMatchObject({
      account: "tool one t",
      options: { perCallUsd: 2 },
    });
  });

  test("end with a false further in", () => {
    const server = serverOf({
      policies: { budget: { perDayUsd: 5 } },
      ...withTools({ t: { policies: { budget: false } } }),
    });
    expect(server.overrides.get("t")?.budgets).toEqual([]);
  });
});

test.each<[string, object, RegExp]>([
  [
    "an expression that is none",
    withTools({ t: { supersede: "${{ arguments. }}" } }),
    /tools\.overrides\.t\.supersede: .*arguments\./,
  ],
  [
    "a name that is not in scope",
    withTools({ t: { supersede: "${{ input.id }}" } }),
    /supersede: .*input/,
  ],
  [
    "a condition that is none",
    withTools({ t: { verify: { tool: "a", happened: "result.x ==" } } }),
    /verify\.happened: /,
  ],
  [
    "a regular expression that is none",
    { policies: { retry: { retryable: ["("] } }, mcpServers: {} },
    /policies\.retry\.retryable\[0\]: expected a regular expression/,
  ],
  [
    "a group without providers",
    { groups: { g: { description: "d", providers: [] } }, mcpServers: {} },
    /groups\.g\.providers: expected/,
  ],
  [
    "a group's expression over what is not there",
    {
      groups: {
        g: { description: "d", providers: [{ tool: "a", arguments: { q: "${{ query }}" } }] },
      },
      mcpServers: {},
    },
    /groups\.g\.providers\[0\]\.arguments\.q: .*query/,
  ],
  [
    "a group's name that no tool can have",
    { groups: { "a b": { description: "d", providers: [{ tool: "a" }] } }, mcpServers: {} },
    /groups/,
  ],
])("%s is an error that names the place", (_, config, message) => {
  expect(() => parse(config)).toThrow(message);
});
