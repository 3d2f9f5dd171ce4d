import { expect, test } from "vitest";
import { parseConfig } from "../src/config/load.ts";
import { brokenReferences } from "../src/references.ts";
import { tool } from "./support/calls.ts";

const verify = (name: string) => ({ verify: { tool: name, happened: "true" } });

test("tools that config names and that are not there, or do not only read, are told", () => {
  const { servers, groups } = parseConfig(
    JSON.stringify({
      mcpServers: {
        one: {
          command: "x",
          tools: { overrides: { a: verify("r"), b: verify("w"), c: verify("gone") } },
        },
      },
      groups: { g: { description: "d", providers: [{ tool: "r" }, { tool: "missing" }] } },
    }),
    { file: "/w/servers.json", env: {}, home: "/h" },
  );
  const tools = new Map([
    ["r", tool({ effect: "read" })],
    ["w", tool({ effect: "write" })],
  ]);
  expect(brokenReferences(servers, groups, { tools })).toEqual([
    "one: verify of b: w does not only read, so it is not asked",
    "one: verify of c: gone is no tool that is there",
    "the group g: missing is no tool that is there",
  ]);
});
