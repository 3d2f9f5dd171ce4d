import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { plainPrograms } from "../../src/config/programs.ts";

const context = { file: "/home/ada/work/servers.json", env: { TOKEN: "t" }, home: "/home/ada" };
const programs = (config: object) => plainPrograms(JSON.stringify(config), context);

describe("the programs that can be told without the schema", () => {
  it.each([
    ["a command alone", { command: "a" }],
    [
      "all that a program can have",
      {
        command: "~/a",
        args: ["${workspaceFolder}", "$${x}"],
        env: { A: "${TOKEN}", N: 1, gone: null },
        cwd: "sub",
        type: "stdio",
      },
    ],
    ["options of other kinds", { command: "a", trust: false, policies: { cache: false } }],
  ])("are those of the config: %s", (_, entry) => {
    const text = JSON.stringify({ mcpServers: { one: entry } });
    const [server] = parseConfig(text, context).servers;
    expect(plainPrograms(text, context)).toEqual(new Map([["one", server?.transport]]));
  });

  it("come from every section, and from a file with comments", () => {
    const text = `{ // ours
      "mcpServers": { "a": { "command": "a" } },
      "servers": { "b": { "command": "b" } }, "mcp": { "servers": { "c": { "command": "c" } } } }`;
    expect([...plainPrograms(text, context).keys()]).toEqual(["a", "b", "c"]);
  });

  it.each([
    ["is disabled", { command: "a", disabled: true }],
    ["may be disabled", { command: "a", disabled: "false" }],
    ["is not enabled", { command: "a", enabled: false }],
    ["is remote", { url: "https://example.com/mcp" }],
    ["is remote and a program", { command: "a", url: "https://example.com/mcp" }],
    ["has arguments that are no texts", { command: "a", args: [1] }],
    ["has an environment that is none", { command: "a", env: { A: {} } }],
    ["has an empty command", { command: "" }],
    ["lacks a variable", { command: "a", args: ["${MISSING}"] }],
    ["lacks its file of variables", { command: "a", envFile: "no-such-file" }],
    ["is no object", "a"],
  ])("are without one that %s", (_, entry) => {
    expect(programs({ mcpServers: { one: entry, two: { command: "b" } } })).toEqual(
      programs({ mcpServers: { two: { command: "b" } } }),
    );
  });

  it("are without Holdfast itself, which would start itself for ever", () => {
    expect(programs({ mcpServers: { holdfast: { command: "holdfast" } } }).size).toBe(0);
  });

  it("are none where inputs are asked for", () => {
    expect(programs({ mcpServers: { a: { command: "a", args: ["${input:key}"] } } }).size).toBe(0);
  });
});
