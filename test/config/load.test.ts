import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/load.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "holdfast-config-"));
});
afterEach(() => rmSync(root, { recursive: true }));

/** Writes a file under the root and answers with its path. */
function write(path: string, content: string | Uint8Array): string {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

interface Given {
  readonly file?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly platform?: NodeJS.Platform;
}

const load = ({ platform = "linux", env = {}, ...given }: Given = {}) =>
  loadConfig({ ...given, platform, env, cwd: join(root, "cwd"), home: join(root, "home") });

const empty = '{ "mcpServers": {} }';

describe("the file", () => {
  test("is the one that is asked for", async () => {
    const file = write("cwd/sub/own.json", empty);
    write("cwd/servers.json", "{ broken");
    expect((await load({ file: "sub/own.json" })).file).toBe(file);
    expect((await load({ file, env: { HOLDFAST_CONFIG: "none" } })).file).toBe(file);
  });

  test("else the one of HOLDFAST_CONFIG", async () => {
    const file = write("home/own.json", empty);
    expect((await load({ env: { HOLDFAST_CONFIG: file } })).file).toBe(file);
    expect((await load({ env: { HOLDFAST_CONFIG: "~/own.json" } })).file).toBe(file);
  });

  test("else servers.json where one stands", async () => {
    const file = write("cwd/servers.json", empty);
    write("home/.config/holdfast/servers.json", "{ broken");
    expect((await load({ env: { HOLDFAST_CONFIG: "" } })).file).toBe(file);
  });

  test.each<[NodeJS.Platform, string]>([
    ["linux", "home/.config/holdfast/servers.json"],
    ["darwin", "home/Library/Application Support/holdfast/servers.json"],
  ])("else the one of the user, on %s", async (platform, path) => {
    const file = write(path, empty);
    expect((await load({ platform })).file).toBe(file);
  });

  test("is looked for in XDG_CONFIG_HOME, where that is absolute", async () => {
    const own = write("xdg/holdfast/servers.json", empty);
    const usual = write("home/.config/holdfast/servers.json", empty);
    expect((await load({ env: { XDG_CONFIG_HOME: join(root, "xdg") } })).file).toBe(own);
    expect((await load({ env: { XDG_CONFIG_HOME: "xdg" } })).file).toBe(usual);
  });
});

describe("a file that cannot be used is refused", () => {
  test("one that is not there", async () => {
    const file = join(root, "none.json");
    await expect(load({ file })).rejects.toMatchObject({
      message: `${file}: the file does not exist`,
    });
  });

  test("none at all, with the places that were looked at", async () => {
    await expect(load()).rejects.toThrow(
      `servers.json: there is no such file; looked for ${root}/cwd/servers.json and ${root}/home/.config/holdfast/servers.json`,
    );
    const env = { APPDATA: "C:\\Users\\me\\AppData\\Roaming" };
    await expect(load({ platform: "win32", env })).rejects.toThrow(
      "and C:\\Users\\me\\AppData\\Roaming\\holdfast\\servers.json",
    );
    await expect(load({ platform: "win32" })).rejects.toThrow(
      "\\home\\AppData\\Roaming\\holdfast\\servers.json",
    );
  });

  test("a folder", async () => {
    write("cwd/servers.json/x", "");
    await expect(load()).rejects.toThrow("cwd/servers.json: expected a file, got a folder");
  });

  test("one that is not UTF-8", async () => {
    const file = write("utf16.json", Buffer.from(`\uFEFF${empty}`, "utf16le"));
    await expect(load({ file })).rejects.toThrow("utf16.json: the file is not text in UTF-8");
  });

  test("one with something wrong in it", async () => {
    write("cwd/servers.json", '{ "mcpServers": { "a": {} } }');
    await expect(load()).rejects.toMatchObject({
      name: "ConfigError",
      file: join(root, "cwd/servers.json"),
      problems: [{ path: "mcpServers.a", line: 1, column: 19 }],
    });
  });
});

test("a byte order mark does no harm", async () => {
  write("cwd/servers.json", `\uFEFF${empty}`);
  expect((await load()).servers).toEqual([]);
});

describe("inputs.json beside the file", () => {
  const asking = JSON.stringify({
    inputs: [
      { id: "key", default: "default" },
      { id: "other", default: "default" },
    ],
    servers: { a: { command: "x", args: ["${input:key}", "${input:other}"] } },
  });

  test("gives the inputs, before their defaults and after the environment", async () => {
    write("cwd/servers.json", asking);
    write("cwd/inputs.json", '{ "key": "file", "other": "file" }');
    const { servers } = await load({ env: { HOLDFAST_INPUT_OTHER: "environment" } });
    expect(servers).toMatchObject([{ transport: { args: ["file", "environment"] } }]);
  });

  test("may be missing", async () => {
    write("cwd/servers.json", asking);
    const { servers } = await load();
    expect(servers).toMatchObject([{ transport: { args: ["default", "default"] } }]);
  });

  test("is refused when it is something else, without showing what", async () => {
    write("cwd/servers.json", asking);
    const file = write("cwd/inputs.json", '{ "key": 12345 }');
    await expect(load()).rejects.toMatchObject({
      message: `${file}: expected an object of strings: the values of the inputs by their ids`,
    });
  });

  test("is refused when it cannot be read", async () => {
    write("cwd/servers.json", asking);
    write("cwd/inputs.json/x", "");
    await expect(load()).rejects.toThrow("cwd/inputs.json: expected a file, got a folder");
  });

  test("is left alone when no server asks for an input", async () => {
    write("cwd/servers.json", empty);
    write("cwd/inputs.json", "[1, 2");
    expect((await load()).servers).toEqual([]);
  });
});

test("an envFile is read from the disk", async () => {
  write("cwd/.env", "\uFEFFA=1\n");
  write("cwd/servers.json", '{ "servers": { "a": { "command": "x", "envFile": ".env" } } }');
  expect((await load()).servers).toMatchObject([{ transport: { env: { A: "1" } } }]);
});

test("names, builtins and log have defaults and can be set", async () => {
  const file = write("cwd/servers.json", empty);
  expect(await load()).toEqual({
    file,
    servers: [],
    middleware: [],
    groups: new Map(),
    workflows: new Map(),
    workflowFolder: join(root, "cwd/workflows"),
    inline: { allow: ["*"], effects: ["read", "idempotent", "write"], consent: "elicit" },
    runs: { keepMs: 604_800_000, maxRuns: 10_000, maxBytes: 1_073_741_824 },
    runStore: "sqlite",
    events: {
      subscriptions: [],
      sinks: [],
      history: { maxEvents: 1000, maxBytes: 8_388_608, maxAgeMs: 86_400_000 },
    },
    http: expect.objectContaining({
      host: "127.0.0.1",
      port: 0,
      tokens: [],
      problems: [],
    }) as unknown,
    names: { separator: "__", maxLength: 49 },
    builtins: ["*"],
    log: { level: "warn", format: "pretty" },
    warnings: [],
  });
  write(
    "cwd/servers.json",
    `{ "$schema": "./servers.schema.json", "mcpServers": {}, "names": { "separator": "-" },
       "builtins": [], "log": { "level": "debug", "format": "json", "file": "logs/h.log" } }`,
  );
  expect(await load()).toMatchObject({
    names: { separator: "-", maxLength: 49 },
    builtins: [],
    log: { level: "debug", format: "json", file: join(root, "cwd/logs/h.log") },
    warnings: [],
  });
});
