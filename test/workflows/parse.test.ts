import { describe, expect, it } from "vitest";
import { linesOf } from "../../src/workflows/plan.ts";
import { parseDefinition } from "../../src/workflows/parse.ts";

const problems = (written: unknown, kind: "chain" | "saga" = "saga"): string[] =>
  linesOf(parseDefinition(written, kind).problems);

const step = { id: "a", tool: "t" };

describe("parseDefinition", () => {
  it.each<[unknown, string[]]>([
    [undefined, ["expected an object, got nothing"]],
    [[], ["expected an object, got a list"]],
    [{}, ["steps: expected a list, got nothing"]],
    [{ steps: [] }, ["steps: expected a list of at least 1, got one of 0"]],
    [
      {
        steps: [
          { id: "a", parallel: Array.from({ length: 65 }, (_, n) => ({ id: `s${n}`, tool: "t" })) },
        ],
      },
      ["steps[0].parallel: expected a list of at most 64, got one of 65"],
    ],
    [
      { steps: [{ ...step, argumens: {} }] },
      ['steps[0].argumens: unknown key; did you mean "arguments"?'],
    ],
    [
      { steps: [{ ...step, onEror: {} }] },
      ['steps[0].onEror: unknown key; did you mean "onError"?'],
    ],
    [{ steps: [step], ouput: 1 }, ['ouput: unknown key; did you mean "output"?']],
    [
      { steps: [{ ...step, compensate: { tool: "u", argument: {} } }] },
      ['steps[0].compensate.argument: unknown key; did you mean "arguments"?'],
    ],
  ])("says what is wrong with %j", (written, wanted) => {
    expect(problems(written)).toEqual(wanted);
  });

  it("says what was expected, and what came, for each thing that is wrong", () => {
    const written = {
      steps: [
        { id: "1a", tool: "" },
        { id: "b", tool: "t", mode: "all", onUnknown: "guess", forEach: { in: 5, maxParallel: 0 } },
      ],
    };
    const told = problems(written);
    for (const place of [
      "steps[0].id",
      "steps[0].tool",
      "steps[1].mode",
      "steps[1].onUnknown",
      "steps[1].forEach.in",
      "steps[1].forEach.maxParallel",
    ])
      expect(told.join("\n")).toContain(`${place}: `);
  });

  it("gives a program where nothing is wrong", () => {
    const { program } = parseDefinition({ steps: [step] }, "chain");
    expect(program?.steps).toMatchObject([{ id: "a", body: { kind: "tool", tool: "t" } }]);
  });

  it("takes what it gave, with all defaults in it", () => {
    const { program } = parseDefinition({ steps: [{ ...step, forEach: { in: [1] } }] }, "saga");
    expect(problems(program?.definition)).toEqual([]);
  });
});
