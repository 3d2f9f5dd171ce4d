import { describe, expect, test } from "vitest";
import { ExpressionError } from "../../src/expressions/error.ts";
import { compileTemplate, checkTemplate } from "../../src/expressions/template.ts";
import { compileError, runError, valueOf, where } from "./support.ts";

const tooMuch = /^takes more than 1000000 steps/;
const numbers = Array.from({ length: 2000 }, (_, index) => index);
const long = "a".repeat(1_000_000);

describe("an expression that would run long is stopped", () => {
  test.each([
    ["nested macros", "n.all(a, n.all(b, n.all(c, n.all(d, true))))"],
    ["nested maps", "n.map(a, n.map(b, n.map(c, c)))"],
    ["a filter in a filter", "n.filter(a, n.filter(b, b > a).size() > 1)"],
    ["exists over nothing that is so", "n.exists(a, n.exists_one(b, n.exists(c, c < 0)))"],
    ["macros whose problems are forgotten", "n.exists(a, n.exists(b, b + 'x' == a))"],
    ["macros behind an operator that forgets", "n.map(a, n.map(b, n.map(c, c))) == [] || true"],
    [
      "macros behind a quantifier that forgets",
      "[1, 2].exists(x, n.map(a, n.map(b, b)) == [] || x == 2)",
    ],
    ["a wide body", `n.map(a, [${"a, ".repeat(250)}])`],
    ["comparing in a macro", "n.map(a, n == n + [a])"],
    ["membership in a macro", "n.map(a, -1 in n)"],
    ["text in a macro", "n.map(a, long.contains('b'))"],
    ["characters in a macro", "n.map(a, size(long))"],
    [
      "a search that is quadratic",
      "long.contains('b' + long) || long.contains(long.substring(500000) + 'b')",
    ],
    ["a backward search that is quadratic", "long.lastIndexOf(long.substring(500000) + 'b')"],
    ["a split that is quadratic", "long.split(long.substring(500000) + 'b')"],
    ["keys in a macro", "n.map(a, size(o))"],
  ])("%s", (_, text) => {
    const o = Object.fromEntries(numbers.map((number) => [`k${number}`, number]));
    expect(runError(text, { n: numbers, long, o }).problem).toMatch(tooMuch);
  });
});

/** `x` doubled by `step`, n times over. */
const doubled = (n: number, start: string, step: string): string =>
  Array.from({ length: n }).reduce<string>(
    (inner, _, index) => `cel.bind(x, ${index === n - 1 ? start : step}, ${inner})`,
    "x",
  );

describe("an expression that would build much is stopped", () => {
  test.each([
    ["text that doubles", doubled(40, "'a'", "x + x")],
    ["a list that doubles", doubled(40, "[1]", "x + x")],
    ["a tree of shared lists", doubled(40, "[1]", "[x, x]")],
    ["a tree of shared objects", doubled(40, "[1]", "{'a': x, 'b': x}")],
    ["a tree as text", `size(${doubled(40, "[1]", "[x, x]")}.map(y, string(y)))`],
    [
      "trees that are compared",
      `${doubled(40, "[1]", "[x, x]")} == ${doubled(40, "[1]", "[x, x]")}`,
    ],
    ["one text many times", "n.map(a, long)"],
    ["one text joined many times", "n.map(a, long).join()"],
    ["one text added many times", "n.map(a, long + long)"],
    ["a text in very many parts", "(long + long).split('')"],
    ["one value many times in a text", "n.map(a, string(n))"],
  ])("%s", (_, text) => {
    expect(runError(text, { n: numbers, long }).problem).toMatch(tooMuch);
  });

  test("a template shares its steps among its expressions", () => {
    const template = Array.from({ length: 60 }, () => "n: ${{ input.map(x, [x, x, x, x]) }}");
    const compiled = compileTemplate(template, { scope: ["input"], where });
    expect(() => compiled.evaluate({ input: numbers })).toThrow(/takes more than/);
    expect(() => compiled.evaluate({ input: [1] })).not.toThrow();
  });
});

describe("an expression that is too large is refused", () => {
  test.each([
    ["a long one", `1${" ".repeat(5000)}+ 1`, /more than 4096 characters/],
    ["brackets", "(".repeat(1500) + ")".repeat(1500), /maxDepth/],
    ["lists", "[".repeat(2000) + "]".repeat(2000), /maxDepth/],
    ["a chain of operators", `1${" + 1".repeat(900)}`, /more than 100 levels deep/],
    ["a chain of keys", `input${".a".repeat(900)}`, /maxDepth|levels deep/],
    ["a tower of negations", `${"!".repeat(3000)}true`, /levels deep|maxAstNodes/],
    ["a tower of conditions", "true ? 1 : ".repeat(300), /maxDepth/],
    ["macros in macros", `${"[1].map(x, ".repeat(150)}1${")".repeat(150)}`, /maxDepth/],
    ["a list", `[${"1,".repeat(500)}]`, /maxListElements/],
    ["an object", `{${'"a":1,'.repeat(500)}}`, /maxMapEntries/],
    ["many parts", `[${"[1,1,1,1,1,1,1,1,1],".repeat(200)}]`, /maxAstNodes/],
  ])("%s", (_, text, problem) => {
    expect(compileError(text, ["input"]).problem).toMatch(problem);
  });
});

test.each(["input.matches('(a+)+$')", "matches(input, 'a')", "'a'.matches('a')"])(
  "a regular expression is refused before anything runs: %s",
  (text) => {
    expect(compileError(text, ["input"]).problem).toMatch(/^matches is not supported/);
  },
);

test.each([
  ["digits of a duration", "duration(input)", "1".repeat(100_000), /^not a duration/],
  ["units of a duration", "duration(input)", "1s".repeat(50_000), /^not a duration/],
  ["digits of a number", "double(input)", "1".repeat(100_000), /^the text is no number/],
  ["digits of an integer", "int(input)", "1".repeat(100_000), /^the text is no number/],
  ["digits of a time", "timestamp(input)", "1".repeat(100_000), /^not a timestamp/],
])("text that would be slow to read is refused: %s", (_, text, input, problem) => {
  expect(runError(text, { input }).problem).toMatch(problem);
});

describe("a template that is hard to take apart is refused", () => {
  const options = { scope: ["input"], where };

  test.each([
    ["an opening without an end", `\${{ ${"a".repeat(100_000)}`],
    ["quotes that never close", `\${{ ${'"\\"'.repeat(100_000)}`],
    ["openings in openings", "${{ ".repeat(50_000)],
    ["braces", `\${{ ${"{".repeat(100_000)}`],
  ])("%s", (_, template) => {
    const [error] = checkTemplate(template, options);
    expect(error).toBeInstanceOf(ExpressionError);
  });

  test("depth", () => {
    const deep: unknown = JSON.parse(`${"[".repeat(50_000)}1${"]".repeat(50_000)}`);
    expect(() => compileTemplate(deep, options)).toThrow(/nested more than 200 levels deep/);
  });
});

test("values of any depth pass, and are not gone through", () => {
  const text = `${"[".repeat(50_000)}1${"]".repeat(50_000)}`;
  const input: unknown = JSON.parse(text);
  const same: unknown = JSON.parse(text);
  expect(valueOf("input", { input })).toBe(input);
  for (const expression of ["input == same", "[input]", "string(input)", "same in [input]"])
    expect(runError(expression, { input, same }).problem).toMatch(/more than 200 levels deep/);
});

describe("keys that mean something to JavaScript are keys like others", () => {
  test.each(["__proto__", "constructor", "toString", "hasOwnProperty", "length", "valueOf"])(
    "%s is missing where it is missing",
    (key) => {
      const values = { input: { a: 1 }, list: [1] };
      expect(runError(`input["${key}"]`, values).problem).toBe(`no key "${key}"; there are "a"`);
      expect(runError(`input.${key}`, values).problem).toBe(`no key "${key}"; there are "a"`);
      expect(valueOf(`has(input.${key})`, values)).toBe(false);
      expect(valueOf(`"${key}" in input`, values)).toBe(false);
      expect(runError(`list["${key}"]`, values).problem).toMatch(/^a list takes whole numbers/);
      expect(runError(`"text".${key}`.replace('"text"', "list[0]"), values).problem).toBe(
        "a number has no members",
      );
      expect(compileError(key, ["input"]).message).toMatch(/Reserved identifier|no name/);
    },
  );

  test.each(["__proto__", "constructor", "toString"])("%s is there where it is there", (key) => {
    const input: unknown = JSON.parse(`{"${key}": {"polluted": true}, "b": [{"${key}": 1}]}`);
    expect(valueOf("input", { input })).toBe(input);
    expect(valueOf(`input.${key}.polluted`, { input })).toBe(true);
    expect(JSON.stringify(valueOf("[input]", { input }))).toBe(JSON.stringify([input]));
    expect(valueOf("input == dyn(input) && [input] == [input]", { input })).toBe(true);
    expect(JSON.stringify(valueOf(`{"${key}": {"polluted": 1}}`))).toBe(
      `{"${key}":{"polluted":1}}`,
    );
    expect(valueOf(`{"${key}": {"polluted": 1}} == {}`)).toBe(false);
    const template: unknown = JSON.parse(`{"${key}": {"polluted": "\${{ 1 }}"}}`);
    const { evaluate } = compileTemplate(template, { scope: [], where });
    expect(JSON.stringify(evaluate({}))).toBe(`{"${key}":{"polluted":1}}`);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  test("a name in scope is not taken from a prototype", () => {
    const expression = compileTemplate("${{ toString }}", { scope: ["toString"], where });
    expect(() => expression.evaluate({})).toThrow("toString has no value here");
  });
});

test("what goes in is never changed", () => {
  const input = { list: [3, 1, 2], o: { a: 1 } };
  const before = structuredClone(input);
  valueOf("[input.list + [4], input.list.map(x, x + 1), input.list.filter(x, x > 1), input.o]", {
    input,
  });
  expect(input).toEqual(before);
});

test("an error shows no more of an expression than suits a message", () => {
  const error = compileError(`nothing + ${"1 + ".repeat(90)}1`, ["input"]);
  expect(error.message.length).toBeLessThan(500);
  expect(error.expression.length).toBeGreaterThan(300);
});
