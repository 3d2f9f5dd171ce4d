import { sep } from "node:path";
import { describe, expect, test } from "vitest";
import { expand, workspaceOf } from "../../src/config/expand.ts";

const variables = {
  env: { TOKEN: "t0k", EMPTY: "", OUTER: "${TOKEN}", HOLDFAST_INPUT_MY_KEY_1: "asked" },
  home: "/home/me",
  workspace: "/work/app",
  inputs: new Map([
    ["my-key.1", "from file"],
    ["model", "sonar"],
  ]),
};

const textOf = (text: string): string => {
  const { text: expanded, problems } = expand(text, variables);
  expect(problems).toEqual([]);
  return expanded;
};

test.each([
  ["an environment variable", "Bearer ${TOKEN}!", "Bearer t0k!"],
  ["an environment variable as VS Code writes it", "${env:TOKEN}", "t0k"],
  ["several in one text", "${TOKEN}-${TOKEN}", "t0k-t0k"],
  ["an empty variable", "[${EMPTY}]", "[]"],
  ["a default of a variable that is set", "${TOKEN:-other}", "t0k"],
  ["a default of a variable that is not set", "${NONE:-other}", "other"],
  ["a default of an empty variable", "${EMPTY:-other}", "other"],
  ["an empty default", "[${NONE:-}]", "[]"],
  ["a default in VS Code's way", "${env:NONE:-a:-b}", "a:-b"],
  ["a default that is a URL", "${NONE:-http://localhost:80/}", "http://localhost:80/"],
  ["the home folder", "${userHome}/x", "/home/me/x"],
  ["the workspace", "${workspaceFolder}/x", "/work/app/x"],
  ["the name of the workspace", "${workspaceFolderBasename}", "app"],
  ["the separator of paths", "a${pathSeparator}b${/}c", `a${sep}b${sep}c`],
  ["an input of the environment, before the one of the file", "${input:my-key.1}", "asked"],
  ["an input", "${input:model}", "sonar"],
  ["a default of an input", "${input:none:-x}", "x"],
])("expands %s", (_, text, expected) => {
  expect(textOf(text)).toBe(expected);
});

test.each([
  ["a bare variable", "$TOKEN"],
  ["an unterminated one", "${TOKEN"],
  ["braces alone", "{TOKEN}"],
  ["a dollar at the end", "cost: 5$"],
])("leaves %s alone", (_, text) => {
  expect(textOf(text)).toBe(text);
});

test("two dollars stand for the text itself", () => {
  expect(textOf("$${TOKEN} ${TOKEN} $${NONE:-x}")).toBe("${TOKEN} t0k ${NONE:-x}");
});

test("what a variable holds is not expanded again", () => {
  expect(textOf("${OUTER}")).toBe("${TOKEN}");
});

describe("a variable without a value stays as it was written and is named", () => {
  test.each([
    ["${NONE}", "the environment variable NONE is not set"],
    ["${env:NONE}", "the environment variable NONE is not set"],
    [
      "${input:api key}",
      "the input api key has no value; set HOLDFAST_INPUT_API_KEY or put it into inputs.json",
    ],
    [
      "${command:secret stuff}",
      "${command:…} is no variable; to mean the text itself write $${command:…}",
    ],
    ["${{ x }", "${{ x } is no variable; to mean the text itself write $${{ x }"],
  ])("%s", (text, problem) => {
    expect(expand(`<${text}>`, variables)).toEqual({ text: `<${text}>`, problems: [problem] });
  });

  test("all of them", () => {
    expect(expand("${A} ${TOKEN} ${B}", variables).problems).toEqual([
      "the environment variable A is not set",
      "the environment variable B is not set",
    ]);
  });
});

test("the workspace of a file is its folder, or the one around .vscode and .cursor", () => {
  expect(workspaceOf("/work/app/servers.json")).toBe("/work/app");
  expect(workspaceOf("/work/app/.vscode/mcp.json")).toBe("/work/app");
  expect(workspaceOf("/work/app/.cursor/mcp.json")).toBe("/work/app");
});
