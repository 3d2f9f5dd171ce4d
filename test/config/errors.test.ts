import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problems.ts";

function errorOf(text: string): ConfigError {
  try {
    parseConfig(text, { file: "/w/servers.json", env: {}, home: "/h" });
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("expected a ConfigError, got a config");
}

/** The messages for one server, less its path. */
const ofServer = (entry: unknown): string[] =>
  errorOf(JSON.stringify({ mcpServers: { a: entry } })).problems.map(({ path, message }) =>
    `${path.replace(/^mcpServers\.a\.?/, "")}: ${message}`.replace(/^: /, ""),
  );

test("every problem is told at once, in the order of the file, with its line and column", () => {
  const error = errorOf(`{
  "log": { "level": "loud" },
  "mcpServers": {
    "github": { "comand": "npx", "startTimeoutMs": "30s" },
    "my server": { "command": "x", "args": ["a", 5] }
  },
  "policies": { "timout": {} }
}`);
  expect(error.message.split("\n")).toEqual([
    '/w/servers.json:2:12: log.level: expected "debug", "info", "warn", "error" or "silent", got "loud"',
    '/w/servers.json:4:5: mcpServers.github: expected "command" (a program to start) or "url" (a remote server)',
    '/w/servers.json:4:17: mcpServers.github.comand: unknown key; did you mean "command"?',
    '/w/servers.json:4:34: mcpServers.github.startTimeoutMs: expected a whole number from 1 to 600000, got "30s"',
    '/w/servers.json:5:50: mcpServers["my server"].args[1]: expected a string, got a number',
    '/w/servers.json:7:17: policies.timout: unknown key; did you mean "timeout"?',
  ]);
  expect(error.file).toBe("/w/servers.json");
  expect(error.problems[3]).toEqual({
    path: "mcpServers.github.startTimeoutMs",
    message: 'expected a whole number from 1 to 600000, got "30s"',
    line: 4,
    column: 34,
  });
});

describe("a wrong value", () => {
  const longText = "x".repeat(100);
  test.each<[string, unknown, string]>([
    ["trust", 1, "trust: expected true or false, got 1"],
    ["prefix", null, "prefix: expected a string, got null"],
    ["idleStopMs", 1.5, "idleStopMs: expected a whole number from 0 to 86400000, got 1.5"],
    ["idleStopMs", -1, "idleStopMs: expected a whole number from 0 to 86400000, got -1"],
    [
      "startTimeoutMs",
      600_001,
      "startTimeoutMs: expected a whole number from 1 to 600000, got 600001",
    ],
    ["disabledTools", "x", 'disabledTools: expected a list, got "x"'],
    ["tools", 5, "tools: expected an object or a list, got 5"],
    ["tools", [5], "tools[0]: expected a string, got 5"],
    ["tools", { allow: "*" }, 'tools.allow: expected a list, got "*"'],
    [
      "type",
      "ws",
      'type: expected "stdio", "local", "http", "streamable-http", "streamableHttp" or "sse", got "ws"',
    ],
    ["prefix", [], "prefix: expected a string, got a list"],
    ["prefix", {}, "prefix: expected a string, got an object"],
    ["trust", longText, `trust: expected true or false, got "${"x".repeat(58)}…`],
    [
      "policies",
      { timeout: { attemptMs: 0 } },
      "policies.timeout.attemptMs: expected a whole number from 1 to 86400000, got 0",
    ],
    [
      "policies",
      { timeout: { attemptMs: "1m" } },
      'policies.timeout.attemptMs: expected a whole number from 1 to 86400000, got "1m"',
    ],
    ["policies", { timeout: true }, "policies.timeout: expected false or an object, got true"],
  ])("of %s: %j", (key, value, message) => {
    expect(ofServer({ command: "x", [key]: value })).toEqual([message]);
  });

  test.each<[string, string]>([
    ["[]", "expected an object, got a list"],
    ['{ "mcpServers": [] }', "expected an object, got a list"],
    [
      '{ "mcpServers": {}, "names": { "maxLength": 4 } }',
      "expected a whole number from 16 to 128, got 4",
    ],
    [
      '{ "mcpServers": {}, "names": { "separator": "a.b" } }',
      'expected 1 to 4 of the characters A-Z, a-z, 0-9, _ and -, got "a.b"',
    ],
    ['{ "mcpServers": {}, "inputs": [{}] }', "expected a string that is not empty, got nothing"],
  ])("in %s", (text, message) => {
    expect(errorOf(text).problems).toMatchObject([{ message }]);
  });
});

describe("a server", () => {
  test.each<[string, unknown, string]>([
    [
      "without a transport",
      {},
      'expected "command" (a program to start) or "url" (a remote server)',
    ],
    [
      "with two of them",
      { command: "x", url: "https://x" },
      'expected either "command" or "url", got both',
    ],
    [
      "of stdio with a url",
      { type: "stdio", url: "https://x" },
      'type: a server of the type "stdio" needs "command"',
    ],
    [
      "of http with a command",
      { type: "http", command: "x" },
      'type: a server of the type "http" needs "url"',
    ],
    [
      "with an empty command",
      { command: "" },
      "command: expected a string that is not empty, got a string",
    ],
    ["that is no object", "npx server --token=s3cret", "expected an object, got a string"],
  ])("%s", (_, entry, message) => {
    expect(ofServer(entry)).toEqual([message]);
  });

  test("whose name stands in two sections", () => {
    const text = `{
      "mcpServers": { "a": { "command": "x" } },
      "servers": { "a": { "command": "y" } }
    }`;
    expect(errorOf(text).message).toBe(
      "/w/servers.json:3:20: servers.a: a second server of this name; the first is mcpServers.a",
    );
  });
});

test.each(['{ "name": "holdfast", "private": true }', '{ "mcp": { "x": {} } }'])(
  "a file without servers: %s",
  (text) => {
    expect(errorOf(text).problems).toContainEqual({
      path: "",
      message: 'expected the servers under "mcpServers" (or "servers", as in VS Code)',
      line: 1,
      column: 1,
    });
  },
);

describe("secrets", () => {
  test.each<[string, unknown]>([
    ["env", "s3cret"],
    ["env", { TOKEN: ["s3cret"] }],
    ["env", { TOKEN: true }],
    ["headers", { Authorization: { value: "s3cret" } }],
    ["headers", ["Authorization: s3cret"]],
    ["args", "--token=s3cret"],
    ["args", ["--pin", 53]],
    ["cwd", ["s3cret"]],
  ])("are not shown: %s %j", (key, value) => {
    const messages = ofServer({ command: "x", [key]: value });
    expect(messages).toHaveLength(1);
    expect(messages[0]).not.toMatch(/s3cret|true|53/);
  });

  test("are told by their type", () => {
    expect(ofServer({ command: "x", env: { TOKEN: true } })).toEqual([
      "env.TOKEN: expected a string, a number or null, got a boolean",
    ]);
    expect(ofServer({ command: "x", headers: "s3cret" })).toEqual([
      "headers: expected an object, got a string",
    ]);
  });
});

test("an expression of an event's handler is told once, with its place", () => {
  const subscriptions = [
    { on: "a", when: "event.data.n >", run: { tool: "t", arguments: { x: "${{ event. }}" } } },
  ];
  const { problems } = errorOf(JSON.stringify({ mcpServers: {}, events: { subscriptions } }));
  expect(problems.map(({ path, message }) => `${path}: ${message}`)).toEqual([
    "events.subscriptions[0].when: `event.data.n >`, character 15: Unexpected token: EOF (in scope: event)",
    "events.subscriptions[0].run.arguments.x: `event.`, character 7: Expected IDENTIFIER, got EOF (in scope: event)",
  ]);
});
