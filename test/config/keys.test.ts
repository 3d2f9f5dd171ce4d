import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/config/load.ts";

const at = { file: "servers.json", env: {}, home: "/h" };

const warningsOf = (text: string): readonly string[] => parseConfig(text, at).warnings;

describe("a key that is nearly one of ours is an error", () => {
  test.each<[object, string]>([
    [{ mcpServer: {} }, 'mcpServer: unknown key; did you mean "mcpServers"?'],
    [{ mcpservers: {} }, 'mcpservers: unknown key; did you mean "mcpServers"?'],
    [{ mcpServers: {}, polices: {} }, 'polices: unknown key; did you mean "policies"?'],
    [{ mcpServers: {}, metric: {} }, 'metric: unknown key; did you mean "metrics"?'],
    [
      { mcpServers: {}, policies: { circuitBraker: {} } },
      'policies.circuitBraker: unknown key; did you mean "circuitBreaker"?',
    ],
    [
      { mcpServers: {}, policies: { timeout: { totalMS: 1 } } },
      'policies.timeout.totalMS: unknown key; did you mean "totalMs"?',
    ],
    [
      { mcpServers: { a: { command: "x", arg: [] } } },
      'mcpServers.a.arg: unknown key; did you mean "args"?',
    ],
    [
      { mcpServers: { a: { command: "x", evn: {} } } },
      'mcpServers.a.evn: unknown key; did you mean "env"?',
    ],
    [
      { mcpServers: { a: { command: "x", typ: "stdio", uri: "x", heeaders: {} } } },
      'mcpServers.a.uri: unknown key; did you mean "url"?',
    ],
    [
      { mcpServers: { a: { command: "x", startTimoutM: 1 } } },
      'mcpServers.a.startTimoutM: unknown key; did you mean "startTimeoutMs"?',
    ],
    [
      { mcpServers: { a: { command: "x", tools: { overrides: { t: { efect: "read" } } } } } },
      'mcpServers.a.tools.overrides.t.efect: unknown key; did you mean "effect"?',
    ],
    [
      {
        mcpServers: {
          a: { command: "x", tools: { overrides: { t: { annotations: { readonlyHint: true } } } } },
        },
      },
      'annotations.readonlyHint: unknown key; did you mean "readOnlyHint"?',
    ],
  ])("%j", (content, message) => {
    expect(() => parseConfig(JSON.stringify(content), at)).toThrow(message);
  });
});

describe("any other key is a warning", () => {
  test("one for each object, with the first key's place", () => {
    const text = `{
  "mcpServers": {
    "a": { "command": "x", "autoApprove": [], "icon": "x" },
    "b": { "command": "x", "autoApprove": [] }
  },
  "preferences": {}
}`;
    expect(warningsOf(text)).toEqual([
      'servers.json:3:28: mcpServers.a.autoApprove: unknown key, ignored; so are "icon" beside it',
      "servers.json:4:28: mcpServers.b.autoApprove: unknown key, ignored",
      "servers.json:6:3: preferences: unknown key, ignored",
    ]);
  });

  test("in the options of a policy too, which are in force without it", () => {
    const config = parseConfig(
      '{ "mcpServers": { "a": { "command": "x" } }, "policies": { "timeout": { "connectMs": 1, "attemptMs": 2 } } }',
      at,
    );
    expect(config.servers).toMatchObject([{ policies: { timeout: { attemptMs: 2 } } }]);
    expect(config.warnings).toEqual([
      "servers.json:1:73: policies.timeout.connectMs: unknown key, ignored",
    ]);
  });

  test("names of servers, tools, variables and headers are no keys of ours", () => {
    const text = JSON.stringify({
      mcpServers: {
        comand: { command: "x", env: { CWD: "1", url: "2" }, tools: { overrides: { titel: {} } } },
        constructor: { url: "https://x", headers: { arg: "1" } },
      },
    });
    expect(warningsOf(text)).toEqual([]);
  });

  test.each(["id", "ui", "key", "dir", "path", "time", "tree", "test", "hint", "author", "linked"])(
    "%s is another word, not one of ours misspelt",
    (key) => {
      const text = JSON.stringify({ mcpServers: { a: { command: "x", [key]: 1 } }, [key]: 1 });
      expect(warningsOf(text)).toHaveLength(2);
    },
  );

  test("what people note beside a server is passed over", () => {
    const entry = { command: "x", comment: "mine", cmd: "x", auto: true };
    expect(warningsOf(JSON.stringify({ name: "mine", mcpServers: { a: entry } }))).toEqual([]);
  });

  test("what VS Code writes beside a server is passed over, however near to a key of ours", () => {
    const entry = { command: "x", dev: {}, gallery: "x", version: "1", tags: [] };
    expect(warningsOf(JSON.stringify({ servers: { a: entry } }))).toEqual([]);
  });

  test("annotations and inputs may have keys of their own", () => {
    const text = JSON.stringify({
      inputs: [{ id: "x", type: "promptString", password: true }],
      servers: {
        a: { command: "x", tools: { overrides: { t: { annotations: { "x-team": "y" } } } } },
      },
    });
    expect(warningsOf(text)).toEqual([]);
  });
});

test("a key of a coming version is one warning, however often it stands there", () => {
  const text = `{
  "mcpServers": {
    "a": { "command": "x", "pin": "report" },
    "b": { "command": "x", "pin": "report" },
    "c": { "command": "x", "pin": "report" }
  },
  "metrics": {}
}`;
  const message = "this version of Holdfast does not know this key yet and ignores it";
  expect(warningsOf(text)).toEqual([
    `servers.json:3:28: mcpServers.a.pin: ${message} (here and 2 times below)`,
    `servers.json:7:3: metrics: ${message}`,
  ]);
});

test("a key that stands twice in its object is a warning, and the last one counts", () => {
  const config = parseConfig(
    `{
  "mcpServers": {
    "a": { "command": "first", "env": { "A": "1", "A": "2" } },
    "a": { "command": "last" }
  }
}`,
    at,
  );
  expect(config.servers).toMatchObject([{ name: "a", transport: { command: "last" } }]);
  expect(config.warnings).toContain(
    "servers.json:4:5: mcpServers.a: this key stands twice in its object; the last one counts",
  );
});
