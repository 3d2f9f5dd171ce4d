import { describe, expect, test } from "vitest";
import { parseJsonc } from "../../src/config/jsonc.ts";

const valueOf = (text: string): unknown => parseJsonc(text, "f.json").value;

test("comments, trailing commas and a byte order mark are accepted", () => {
  expect(valueOf('\uFEFF// one\r\n{ "a": [1, 2,], /* two */ "b": { "c": null, }, }')).toEqual({
    a: [1, 2],
    b: { c: null },
  });
});

test("a key may have any name", () => {
  const value = valueOf('{ "__proto__": { "a": 1 }, "constructor": 2 }');
  expect(Object.entries(Object(value))).toEqual([
    ["__proto__", { a: 1 }],
    ["constructor", 2],
  ]);
});

describe("text that is no JSON is refused with its place", () => {
  test.each<[string, string]>([
    ["", 'f.json: the file is empty; expected an object such as { "mcpServers": {} }'],
    [" \n\t ", 'f.json: the file is empty; expected an object such as { "mcpServers": {} }'],
    ["// only a comment", "f.json:1:18: expected a value"],
    ["{ a: 1 }", "f.json:1:3: this is not JSON; keys and texts stand in double quotes"],
    ["{ 'a': 1 }", "f.json:1:3: this is not JSON; keys and texts stand in double quotes"],
    ['{ "a": nope }', "f.json:1:8: this is not JSON; keys and texts stand in double quotes"],
    ['{ "a" 1 }', 'f.json:1:7: expected ":" after the key'],
    ['{\n  "a": 1\n  "b": 2\n}', 'f.json:3:3: expected ","'],
    ['{ "a": }', "f.json:1:8: expected a value"],
    ['{ "a": [1 2] }', 'f.json:1:11: expected ","'],
    ['{ "a": [1', 'f.json:1:10: expected "]"'],
    ['{ "a": 1', 'f.json:1:9: expected "}"'],
    ['{ "a": 1,, }', "f.json:1:10: expected a key in double quotes"],
    ["{} {}", "f.json:1:4: expected the end of the file"],
    ["{ /* x", 'f.json:1:3: expected "*/" at the end of this comment'],
    ['{ "a": "x\n" }', "f.json:1:8: expected a double quote at the end of this text"],
    ['{ "a": 1. }', "f.json:1:8: expected a digit"],
    ['{ "a": "\\u12" }', "f.json:1:8: expected four hex digits after \\u"],
    [
      '{ "a": "C:\\Users" }',
      "f.json:1:8: a backslash in this text escapes nothing; write it twice to mean itself",
    ],
    [
      '{ "a": "\t" }',
      "f.json:1:8: a control character must be written as an escape, such as \\n or \\t",
    ],
  ])("%j", (text, message) => {
    expect(() => valueOf(text)).toThrow(expect.objectContaining({ message }));
  });
});

test("places are those of keys and list items, and of what is around a missing one", () => {
  const { placeOf } = parseJsonc('{\r\n  "a": [1,\n   { "b": 2 }]\n}', "f.json");
  expect(placeOf(["a"])).toEqual({ line: 2, column: 3 });
  expect(placeOf(["a", 1])).toEqual({ line: 3, column: 4 });
  expect(placeOf(["a", 1, "b"])).toEqual({ line: 3, column: 6 });
  expect(placeOf(["a", 1, "none", "deeper"])).toEqual({ line: 3, column: 4 });
  expect(placeOf(["none"])).toEqual({ line: 1, column: 1 });
});
