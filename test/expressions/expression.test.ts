import { describe, expect, test } from "vitest";
import { compileExpression } from "../../src/expressions/expression.ts";
import { compileError, runError, valueOf, where } from "./support.ts";

describe("numbers are those of JSON", () => {
  const values = { n: 3, half: 0.5, items: ["a", "b", "c", "d"], one: 1 };

  test.each([
    ["n + 1", 4],
    ["1 + n", 4],
    ["1 == 1.0", true],
    ["n == 3", true],
    ["n != 3.0", false],
    ["size(items) * 2.5", 10],
    ["items.size() + half", 4.5],
    ["7 / 2", 3.5],
    ["int(7 / 2)", 3],
    ["int(-3.7)", -3],
    ["7 % 4", 3],
    ["-7 % 4", -3],
    ["5.5 % 2", 1.5],
    ["n > 2 && n < 3.5 && 2 <= n && n >= 3", true],
    ["items[0]", "a"],
    ["items[n]", "d"],
    ["items[one + 1.0]", "c"],
    ["items[size(items) - 1]", "d"],
    ["-n", -3],
    ["0x10 + 1u", 17],
    ["1e3", 1000],
    ["n in [1, 2.0, 3.0]", true],
    ['int("42") + double("0.5")', 42.5],
    ["string(n) + string(0.5)", "30.5"],
    ["9007199254740991", Number.MAX_SAFE_INTEGER],
  ])("%s", (text, expected) => {
    expect(valueOf(text, values)).toBe(expected);
  });

  test.each([
    ["n / 0", "division by zero"],
    ["n % (n - 3)", "division by zero"],
    ["n * 1e308 * 10", "the number is too large"],
    ["items[half]", "a list takes whole numbers as index, got a fraction"],
    ["items[4]", "no index 4 in a list of 4"],
    ["items[-1]", "no index -1 in a list of 4"],
    ['double("0x10")', "the text is no number"],
    ['double("1e999")', "the number is too large"],
  ])("%s fails", (text, problem) => {
    expect(runError(text, values).problem).toBe(problem);
  });

  test("a literal that JSON can't hold exactly is refused", () => {
    expect(compileError("9007199254740993").problem).toMatch(/not exact beyond 2\^53/);
  });
});

describe("a value is plain JSON", () => {
  test.each([
    ["[size('ab'), 1u]", [2, 1]],
    ["timestamp('2026-01-31T12:00:00+01:00')", "2026-01-31T11:00:00.000Z"],
    ["[timestamp(0)]", ["1970-01-01T00:00:00.000Z"]],
    ["{'a': duration('1h30m')}", { a: "5400s" }],
    ["duration('-1500ms')", "-1.5s"],
    ["timestamp(60) - timestamp(0)", "60s"],
    ["timestamp(0) + duration('1m')", "1970-01-01T00:01:00.000Z"],
    ["timestamp(86400).getDate()", 2],
    ["duration('90s').getMinutes()", 1],
    ["duration('1m') == duration('60s') && timestamp(1) > timestamp(0)", true],
    ["input.?none", null],
    ["[input.?none, input.?a]", [null, 1]],
  ])("%s", (text, expected) => {
    expect(valueOf(text, { input: { a: 1 } })).toEqual(expected);
  });

  test("that was passed as it is, is the same", () => {
    const input = { a: [{ b: 1 }] };
    expect(valueOf("input.a", { input })).toBe(input.a);
    expect(valueOf("input.?a", { input })).toBe(input.a);
    expect(valueOf("input.a.filter(x, x.b == 1)[0]", { input })).toBe(input.a[0]);
  });

  test("bytes are refused", () => {
    expect(compileError('b"x"').problem).toBe("bytes are no JSON");
  });
});

test.each([
  ["'ab'.contains('b') && 'ab'.startsWith('a') && 'ab'.endsWith('b')", true],
  ["'a,b,,c'.split(',')", ["a", "b", "", "c"]],
  ["['a', 'b'].join('-') + ['c'].join()", "a-bc"],
  ["' ÄbC '.trim().lowerAscii() + 'äb'.upperAscii()", "ÄbcäB"],
  ["'a😀b'.size()", 3],
  ["'a😀b'.indexOf('b')", 2],
  ["'a😀b'.substring(1, 2)", "😀"],
  ["'abab'.lastIndexOf('ab') + 'abab'.indexOf('ab', 1)", 4],
  ["'x'.indexOf('y')", -1],
  ["[1, 2] + ['a']", [1, 2, "a"]],
  ["{'a': 1, 'b': [null, true]}", { a: 1, b: [null, true] }],
  ["'a' in {'a': 1} && !('b' in {'a': 1})", true],
  ["[1, 'a', null, {'b': [2]}] == [1.0, 'a', null, {'b': [2]}]", true],
  ["{'a': 1} == {'a': 2} || {'a': 1} == {'b': 1} || [1] == [1, 2]", false],
  ["true ? 1 : 'text'", 1],
  ["bool('true') && !bool('false')", true],
  ["string({'a': [1, null]})", '{"a":[1,null]}'],
  ["[3, 1, 2].filter(x, x > 1).map(x, x * 2)", [6, 4]],
  ["[1, 2, 3].map(x, x != 2, x * 10)", [10, 30]],
  ["[1, 2].all(x, x > 0) && [1, 2].exists(x, x == 2) && [1, 2].exists_one(x, x > 1)", true],
  ["[].all(x, x) && ![].exists(x, x)", true],
  ["{'k': 1, 'l': 2}.map(key, key + '!')", ["k!", "l!"]],
  ["[[1, 2], [3]].map(x, x.map(y, y + size(x)))", [[3, 4], [4]]],
  ["[1].map(x, [2].map(x, x)[0] + x)", [3]],
  ["cel.bind(x, 2 + 3, x * x)", 25],
])("%s", (text, expected) => {
  expect(valueOf(text)).toEqual(expected);
});

describe("what is not there", () => {
  const values = { input: { a: { b: null }, list: [1] } };

  test.each([
    ["input.x", 'no key "x"; there are "a", "list"', 6],
    ["input.a.x", 'no key "x"; there are "b"', 8],
    ['input["x y"]', 'no key "x y"; there are "a", "list"', 6],
    ["input.a.b.c", "null has no members", 10],
    ["input.list.a", "a list takes whole numbers as index, got a string", 11],
    ["[{}][0].a", 'no key "a"; there are none', 8],
    ["has(input.x.y)", 'no key "x"; there are "a", "list"', 10],
  ])("%s is an error that says what is there", (text, problem, position) => {
    expect(runError(text, values)).toMatchObject({ problem, position });
  });

  test.each([
    ["has(input.a)", true],
    ["has(input.a.b)", true],
    ["has(input.x)", false],
    ["has(input.a.b.c)", false],
    ["has(input.x) && input.x > 1", false],
    ["input.?x.y.z.orValue('default')", "default"],
    ["input.?a.?b.orValue('null is a value')", null],
    ["input.?list[0].orValue(2)", 1],
    ["input.list[?5].orValue(2)", 2],
    ["input.?a.orValue(input.none).b", null],
    ["input.?x.or(input.?y).or(input.?list).value()", [1]],
    ["input.?x.hasValue()", false],
  ])("can be asked for: %s", (text, expected) => {
    expect(valueOf(text, values)).toEqual(expected);
  });

  test("of many keys an error shows some", () => {
    const input = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`k${index}`, 1]));
    expect(runError("input.x", { input }).problem).toMatch(/"k19" and 480 more$/);
  });
});

test.each([
  ["input.x == 1 || true", true],
  ["true || input.x == 1", true],
  ["input.x == 1 && false", false],
  ["[1, 'a'].exists(x, x + 1 > 5 || x == 'a')", true],
  ["['a', 1].exists(x, x + 1 == 2)", true],
  ["['a', 1].all(x, x > 1)", false],
])("as in CEL, the side that decides wins over a problem in the other: %s", (text, expected) => {
  expect(valueOf(text, { input: {} })).toBe(expected);
});

test.each(["input.x == 1 || false", "['a', 1].exists(x, x + 1 == 3)", "['a', 2].all(x, x > 1)"])(
  "where no side decides, the problem stays: %s",
  (text) => {
    expect(runError(text, { input: {} }).problem).toMatch(/^no (key|operation)/);
  },
);

describe("before anything runs", () => {
  test.each([
    ["a syntax error", "input +", "Unexpected token: EOF", 7],
    ["a text that is not closed", "'a", "Unterminated string", 0],
    ["nothing", "  ", "an empty expression", undefined],
    ["an unknown name", "inputs.x", 'no name "inputs"; there are "input"', 0],
    ["a name of another macro", "[1].map(x, x) + x", 'no name "x"; there are "input"', 16],
    ["a name of the language's types", "int", 'no name "int"; there are "input"', 0],
    ["wrong operands", "'a' - 1", "no operation string - number", 6],
    ["one operand that never suits", "true + input.x", "no operation boolean + any", 7],
    ["a comparison of kinds apart", "size(input) == '3'", "no operation number == string", 15],
    ["a number as a condition", "1 ? 2 : 3", "a condition takes a boolean, got number", 0],
    ["a text as an operand of and", "input.x && 'a'", "&& takes a boolean, got string", 11],
    ["a predicate that is none", "[1].filter(x, 1)", "filter takes a boolean, got number", 14],
    ["members of a number", "size(input).x", "a value of the kind number has no members", 12],
    ["a key that is no string", "{1: 2}", "the keys of an object are strings, got number", 1],
    ["an unknown method", "input.foo()", /^no method foo; there are "size", "contains"/, 6],
    ["an unknown function", "foo(1)", /^no function foo; there are "size", "string"/, 0],
    ["a wrong argument", "size(1)", "size takes (string) or (list) or (object), got (number)", 0],
    ["a missing argument", "'a'.contains()", "contains takes (string, string), got (string)", 4],
    [
      "a macro over a number",
      "size(input).map(x, x)",
      "map takes a list or an object, got number",
      0,
    ],
    ["has of what is no field", "has(input['x'])", /^has takes a field/, 0],
    ["orValue of what is no optional", "size(input).orValue(1)", /^orValue takes an optional/, 0],
  ])("%s is refused", (_, text, problem, position) => {
    const error = compileError(text, ["input"]);
    expect(error.problem).toEqual(
      typeof problem === "string" ? problem : expect.stringMatching(problem),
    );
    expect(error.position).toBe(position);
  });

  test.each([
    ["size(input) > 1", "boolean"],
    ["input.x + 1", "number"],
    ["input.x + input.y", "any"],
    ["'a' + input.x", "string"],
    ["input.items.map(x, x)", "list"],
    ["{'a': 1}", "object"],
    ["input.ok ? 1 : 2", "number"],
    ["input.ok ? 1 : null", "any"],
    ["input.x == null", "boolean"],
  ])("the kind of %s is %s", (text, kind) => {
    expect(compileExpression(text, { scope: ["input"], where }).kind).toBe(kind);
  });
});

test("a lone expression can be bare or in braces", () => {
  expect(valueOf("1 + 1")).toBe(2);
  expect(valueOf(" ${{ 1 + 1 }}\n")).toBe(2);
  expect(valueOf('{"a": "${{"}')).toEqual({ a: "${{" });
  expect(compileError("${{ 1 }} + 1").problem).toBe("is to be one expression and nothing else");
});
