import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { resolvePolicies } from "../../src/config/policies.ts";

interface Given {
  readonly env?: NodeJS.ProcessEnv;
  readonly files?: Readonly<Record<string, string>>;
}

function serverOf(entry: object, { env = {}, files = {} }: Given = {}) {
  const { servers } = parseConfig(JSON.stringify({ mcpServers: { one: entry } }), {
    file: "/work/servers.json",
    env,
    home: "/home/me",
    readFile(path) {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error("no entry"), { code: "ENOENT" });
      return text;
    },
  });
  expect(servers).toHaveLength(1);
  const [server] = servers;
  if (server === undefined) throw new Error("unreachable");
  return server;
}

test("what is not written has its default", () => {
  const server = serverOf({ command: "x" });
  expect(server).toEqual({
    name: "one",
    prefix: "one",
    trust: true,
    startTimeoutMs: 30_000,
    idleStopMs: 0,
    transport: { kind: "stdio", command: "x", args: [], env: {}, cwd: "/work" },
    allow: ["*"],
    deny: [],
    overrides: new Map(),
    policies: resolvePolicies([]),
    budgets: [],
    disabled: false,
  });
});

test("what is written is kept", () => {
  const server = serverOf({
    command: "x",
    prefix: "",
    trust: false,
    startTimeoutMs: 1,
    connectionTimeout: 2,
    idleStopMs: 3,
    tools: {
      allow: ["a_*"],
      deny: ["a_b"],
      overrides: {
        a_c: {
          effect: "read",
          title: "C",
          description: "Does C.",
          annotations: { readOnlyHint: true, "x-own": 1 },
        },
      },
    },
  });
  expect(server).toMatchObject({
    prefix: "",
    trust: false,
    startTimeoutMs: 1,
    idleStopMs: 3,
    allow: ["a_*"],
    deny: ["a_b"],
  });
  expect(server.overrides.get("a_c")).toEqual({
    effect: "read",
    title: "C",
    description: "Does C.",
    annotations: { readOnlyHint: true, "x-own": 1 },
    policies: server.policies,
    budgets: [],
  });
});

describe("transport", () => {
  test("a tilde at the start of command and cwd is the home folder", () => {
    const { transport } = serverOf({ command: "~/bin/x", args: ["~/y"], cwd: "~" });
    expect(transport).toMatchObject({ command: "/home/me/bin/x", args: ["~/y"], cwd: "/home/me" });
  });

  test("a relative cwd starts at the folder of the file", () => {
    expect(serverOf({ command: "x", cwd: "sub" }).transport).toMatchObject({ cwd: "/work/sub" });
    expect(serverOf({ command: "x", cwd: "/abs" }).transport).toMatchObject({ cwd: "/abs" });
  });

  test("variables are expanded in all of its texts", () => {
    const env = { V: "v" };
    const local = { command: "${V}", args: ["${V}"], env: { A: "${V}" }, cwd: "/${V}" };
    expect(serverOf(local, { env }).transport).toEqual({
      kind: "stdio",
      command: "v",
      args: ["v"],
      env: { A: "v" },
      cwd: "/v",
    });
    const remote = { url: "https://${V}.com/", headers: { A: "${V}" } };
    expect(serverOf(remote, { env }).transport).toEqual({
      kind: "http",
      url: "https://v.com/",
      headers: { A: "v" },
    });
  });

  test.each([
    ["https://example.com/mcp", undefined, "http"],
    ["https://example.com/sse", undefined, "sse"],
    ["https://example.com/sse/?key=1", undefined, "sse"],
    ["https://example.com/sse", "http", "http"],
    ["https://example.com/mcp", "sse", "sse"],
    ["https://example.com/assess", undefined, "http"],
  ])("%s of type %s is reached by %s", (url, type, kind) => {
    expect(serverOf({ url, ...(type !== undefined && { type }) }).transport.kind).toBe(kind);
  });
});

describe("envFile", () => {
  const files = { "/work/v/.env": "A=1\n# comment\nexport B='two words'\nC=${A}\n" };

  test("its variables stand below env and are taken as they are", () => {
    const entry = { command: "x", envFile: "${DIR}/.env", env: { A: "own" } };
    const { transport, problem } = serverOf(entry, { files, env: { DIR: "v" } });
    expect(transport).toMatchObject({ env: { A: "own", B: "two words", C: "${A}" } });
    expect(problem).toBeUndefined();
  });

  test("a missing one is a problem of its server", () => {
    expect(serverOf({ command: "x", envFile: "none.env" }).problem).toBe(
      "envFile: /work/none.env: the file does not exist",
    );
  });
});

describe("a missing variable", () => {
  const text = JSON.stringify({
    mcpServers: {
      broken: {
        command: "${BIN}",
        args: ["--team", "${TEAM}"],
        env: { GITHUB_TOKEN: "Bearer ${TOKEN}" },
      },
      whole: { command: "x" },
      remote: { url: "https://${HOST}/mcp", headers: { Authorization: "${env:KEY}" } },
      off: { command: "${NONE}", envFile: "none", disabled: true },
    },
  });
  const { servers } = parseConfig(text, {
    file: "/work/servers.json",
    env: { TEAM: "t" },
    home: "/home/me",
  });

  test("fails its server only, and is named with its place", () => {
    expect(servers.map(({ name, problem }) => [name, problem])).toEqual([
      [
        "broken",
        "command: the environment variable BIN is not set; env.GITHUB_TOKEN: the environment variable TOKEN is not set",
      ],
      ["whole", undefined],
      [
        "remote",
        "url: the environment variable HOST is not set; headers.Authorization: the environment variable KEY is not set",
      ],
      ["off", undefined],
    ]);
  });

  test("is not looked for in a disabled server, which is listed as it was written", () => {
    expect(servers[3]).toMatchObject({ disabled: true, transport: { command: "${NONE}" } });
  });
});

test("a url that is none is a problem of its server, which does not show it", () => {
  const problem = "url: expected an address that starts with http:// or https://";
  expect(serverOf({ url: "localhost:3000/mcp?key=secret" }).problem).toBe(problem);
  expect(serverOf({ url: "${URL}" }, { env: { URL: "nonsense" } }).problem).toBe(problem);
});

test("disabled wins over enabled, and either is enough", () => {
  expect(serverOf({ command: "x", disabled: true, enabled: true }).disabled).toBe(true);
  expect(serverOf({ command: "x", disabled: false, enabled: false }).disabled).toBe(true);
  expect(serverOf({ command: "x", disabled: false, enabled: true }).disabled).toBe(false);
});

describe("authorisation", () => {
  const oauthOf = (entry: object, given?: Given) => {
    const { transport } = serverOf({ url: "https://example.com/mcp", ...entry }, given);
    return transport.kind === "stdio" ? expect.unreachable() : transport.oauth;
  };

  test("is not spoken of where nothing is written", () => {
    const { transport } = serverOf({ url: "https://example.com/mcp" });
    expect(transport).not.toHaveProperty("oauth");
  });

  test("can be switched off", () => {
    expect(oauthOf({ oauth: false })).toBe(false);
    expect(oauthOf({ oauth: false, auth: { CLIENT_ID: "a" } })).toBe(false);
  });

  test("is kept as written, with its variables expanded", () => {
    const oauth = {
      clientId: "${ID}",
      clientSecret: "${env:SECRET}",
      issuer: "https://login.example.com",
      clientMetadataUrl: "https://example.com/client.json",
      scopes: ["a", "b"],
      callbackPort: 8080,
    };
    expect(oauthOf({ oauth }, { env: { ID: "me", SECRET: "s3cret" } })).toEqual({
      ...oauth,
      clientId: "me",
      clientSecret: "s3cret",
      scopes: "a b",
    });
  });

  test.each([
    [
      "Claude Code",
      { oauth: { clientId: "me", callbackPort: 8080, scopes: "a b" } },
      { clientId: "me", callbackPort: 8080, scopes: "a b" },
    ],
    [
      "opencode",
      { oauth: { clientId: "me", clientSecret: "s", scope: "a b" } },
      { clientId: "me", clientSecret: "s", scopes: "a b" },
    ],
    [
      "Cursor",
      { auth: { CLIENT_ID: "me", CLIENT_SECRET: "s", scopes: ["a", "b"] } },
      { clientId: "me", clientSecret: "s", scopes: "a b" },
    ],
    [
      "two of them",
      { oauth: { clientId: "ours" }, auth: { CLIENT_ID: "theirs", scopes: ["a"] } },
      { clientId: "ours", scopes: "a" },
    ],
  ])("is taken from the keys of %s", (_, entry, wanted) => {
    expect(oauthOf(entry)).toEqual(wanted);
  });

  test("with a missing variable, or a document that is none, makes the server unusable", () => {
    const problemOf = (oauth: object) => serverOf({ url: "https://example.com", oauth }).problem;
    expect(problemOf({ clientSecret: "${NOPE}" })).toBe(
      "oauth.clientSecret: the environment variable NOPE is not set",
    );
    for (const clientMetadataUrl of ["http://example.com/client.json", "https://example.com/", "x"])
      expect(problemOf({ clientMetadataUrl })).toBe(
        "oauth.clientMetadataUrl: expected an https address with a path",
      );
  });
});
