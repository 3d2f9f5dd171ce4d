import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ExpressionError } from "../../src/expressions/error.ts";
import { checkTemplate, compileTemplate } from "../../src/expressions/template.ts";

const values = {
  input: { name: "Ada", count: 3, tags: ["a", "b"], note: null, on: true },
  steps: { order: { result: { id: 7 } } },
};
const options = { scope: Object.keys(values), where: 'chain "report"' };
const filled = (template: unknown): unknown => compileTemplate(template, options).evaluate(values);

test.each([
  ["a string", "${{ input.name }}", "Ada"],
  ["a number", "${{ input.count }}", 3],
  ["a boolean", "${{input.on}}", true],
  ["null", "${{ input.note }}", null],
  ["a list", "${{ input.tags }}", ["a", "b"]],
  ["an object", "${{ steps.order.result }}", { id: 7 }],
])("a string that is one expression becomes its value: %s", (_, template, expected) => {
  expect(filled(template)).toEqual(expected);
});

test.each([
  ["a string as it is", "Hello ${{ input.name }}!", "Hello Ada!"],
  ["a number as JSON", "n=${{ input.count }}", "n=3"],
  ["a boolean as JSON", "${{ input.on }}?", "true?"],
  ["null as nothing", "[${{ input.note }}]", "[]"],
  ["null in a list as JSON", "${{ [input.note] }}.", "[null]."],
  ["a list as JSON", "tags: ${{ input.tags }}", 'tags: ["a","b"]'],
  ["an object as JSON", "${{ steps.order.result }}\n", '{"id":7}\n'],
  [
    "a timestamp as text",
    "at ${{ timestamp('2026-01-31T12:00:00Z') }}",
    "at 2026-01-31T12:00:00.000Z",
  ],
  ["several values", "${{ input.name }}${{ input.count }}-${{ input.name }}", "Ada3-Ada"],
])("a value becomes part of a longer string: %s", (_, template, expected) => {
  expect(filled(template)).toBe(expected);
});

test.each([
  ["an escape", "$${{ input.name }}", "${{ input.name }}"],
  ["an escape beside an expression", "$${{ x }} ${{ input.name }}", "${{ x }} Ada"],
  ["an escape after dollars", "$$${{ x }}", "$${{ x }}"],
  ["an expression in an escape", "$${{ ${{ input.count }} }}", "${{ 3 }}"],
  ["braces of other kinds", "{{ x }} ${x} }}", "{{ x }} ${x} }}"],
])("text stays text: %s", (_, template, expected) => {
  expect(filled(template)).toBe(expected);
});

test.each([
  ["nested objects", '${{ {"a": {"b": 1}}}}', { a: { b: 1 } }],
  ["nested objects and a space", '${{ {"a": {"b": 1}} }}', { a: { b: 1 } }],
  ["double quotes", '${{ "}}" }}', "}}"],
  ["single quotes", "${{ '}} {' }}", "}} {"],
  ["triple quotes", '${{ """ " }} """ }}', ' " }} '],
  ["escaped quotes", '${{ "\\"}}" }}', '"}}'],
  ["a comment", "${{ 1 // }}\n }}", 1],
])("the end of an expression is seen behind %s", (_, template, expected) => {
  expect(filled(template)).toEqual(expected);
});

test("expressions stand at any depth, in lists and in objects, but not in keys", () => {
  const template = {
    a: [{ b: "${{ input.count + 1 }}" }, "plain", 5],
    "${{ input.name }}": { c: { d: ["id ${{ steps.order.result.id }}"] } },
  };
  expect(filled(template)).toEqual({
    a: [{ b: 4 }, "plain", 5],
    "${{ input.name }}": { c: { d: ["id 7"] } },
  });
});

test("a template tells what it uses, and each expression with its place and what it reads", () => {
  const { uses, expressions } = compileTemplate(
    {
      id: "${{ steps.order.result.id }}",
      "a/b~c": ["x ${{ input.items.filter(input, input.price > 1).size() }}"],
      d: '${{ has(input.note) ? input.?x.y.orValue(input["a b"].c[input.count].d) : null }}',
    },
    options,
  );
  expect(uses).toEqual(["steps", "input"]);
  expect(
    expressions.map(({ path, text, kind, reads }) => [
      path,
      text.slice(0, 12),
      kind,
      reads.map(({ names, required }) => [names.join("."), required]),
    ]),
  ).toEqual([
    ["/id", "steps.order.", "any", [["steps.order.result.id", 4]]],
    ["/a~1b~0c/0", "input.items.", "number", [["input.items", 2]]],
    [
      "/d",
      "has(input.no",
      "any",
      [
        ["input.note", 1],
        ["input.x.y", 1],
        ["input.a b.c", 3],
        ["input.count", 2],
      ],
    ],
  ]);
});

test("an error shows the place, the expression and what is in scope", () => {
  const template = compileTemplate({ arguments: { id: "${{ steps.order.result.nr }}" } }, options);
  expect(() => template.evaluate(values)).toThrow(
    'chain "report", /arguments/id, `steps.order.result.nr`, character 20: no key "nr"; there are "id" (in scope: input, steps)',
  );
});

test("an error carries its parts", () => {
  const [error] = checkTemplate({ a: "${{ input.x + }}" }, options);
  expect(error).toBeInstanceOf(ExpressionError);
  expect(error).toMatchObject({ expression: "input.x +", path: "/a", position: 9 });
});

test("all problems of a template are told at once", () => {
  const template = {
    a: "${{ inptu.x }}",
    b: ["${{ 1 +", "${{ input.x }}"],
    c: "${{ 1 }} ${{ !1 }}",
  };
  expect(checkTemplate(template, options).map(({ path, problem }) => [path, problem])).toEqual([
    ["/a", 'no name "inptu"; there are "input", "steps"'],
    [
      "/b/0",
      "a ${{ is not closed by }} within 4096 characters; to mean the text itself write $${{",
    ],
    ["/c", "! takes a boolean, got number"],
  ]);
  expect(() => compileTemplate(template, options)).toThrow('no name "inptu"');
  expect(checkTemplate({ a: "${{ input.x }}" }, options)).toEqual([]);
});

test("a template without expressions gives back the same value", () => {
  const template = { a: [{ b: "c" }, null] };
  expect(compileTemplate(template, options).evaluate(values)).toBe(template);
});

test("what a template's expression names must have a value when it is evaluated", () => {
  const template = compileTemplate("${{ input }}", options);
  expect(() => template.evaluate({})).toThrow("input has no value here");
});

describe("for any JSON", () => {
  const json = fc.jsonValue({ maxDepth: 5 });
  const hasNoOpening = (value: unknown): boolean => !JSON.stringify(value).includes("${{");

  test("without expressions, a template is its own value", () => {
    fc.assert(
      fc.property(json.filter(hasNoOpening), (template) => {
        expect(compileTemplate(template, options).evaluate({})).toBe(template);
      }),
    );
  });

  test("an expression that is a name gives back its value", () => {
    fc.assert(
      fc.property(json, (input) => {
        expect(filledWith("${{ input }}", input)).toBe(input);
        expect(filledWith("${{ [input][0] }}", input)).toEqual(input);
        expect(filledWith({ deep: ["${{ input }}"] }, input)).toEqual({ deep: [input] });
      }),
    );
  });

  test("a string that is built from parts keeps every character", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string(), (input, around) => {
        const text = around.replaceAll("$", "").replaceAll("{", "");
        expect(filledWith(`${text}\${{ input }}${text}.`, input)).toBe(`${text}${input}${text}.`);
      }),
    );
  });

  test("a value equals itself and what is built from it", () => {
    fc.assert(
      fc.property(json, (input) => {
        expect(filledWith("${{ input == dyn(input) && [input] == [input] }}", input)).toBe(true);
        const copy: unknown = JSON.parse(JSON.stringify(input));
        expect(filledWith("${{ input in [[], input.copy] }}", { copy })).toBe(false);
      }),
    );
  });

  const filledWith = (template: unknown, input: unknown): unknown =>
    compileTemplate(template, { scope: ["input"], where: "a test" }).evaluate({ input });
});

test("any text is either refused or compiled, and never throws anything else", () => {
  const part = fc.constantFrom(
    ...'input . x [ ] ( ) { } , : ? && || ! - + * / % == < in 1 2.5 "a" \' null true .map( has( cel.bind( x, .?y .orValue( size( ${{ }} $${{'.split(
      " ",
    ),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 25 }), (parts) => {
      for (const text of [parts.join(" "), `\${{ ${parts.join(" ")} }}`])
        expect(checkTemplate(text, options)).toSatisfy((errors: readonly unknown[]) =>
          errors.every((error) => error instanceof ExpressionError),
        );
    }),
    { numRuns: 2000 },
  );
});
