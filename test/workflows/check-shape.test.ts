import { describe, expect, it } from "vitest";
import { linesOf } from "../../src/workflows/plan.ts";
import { parseDefinition } from "../../src/workflows/parse.ts";
import type { RunKind } from "../../src/workflows/run-store.ts";

type Written = Record<string, unknown>;

const call = (id: string, over: Written = {}): Written => ({ id, tool: "t", ...over });

function found(steps: unknown, over: Written = {}, kind: RunKind = "saga") {
  const { problems, warnings } = parseDefinition({ steps, ...over }, kind);
  return { problems: linesOf(problems), warnings: linesOf(warnings) };
}

const problems = (...args: Parameters<typeof found>): string[] => found(...args).problems;
const warnings = (...args: Parameters<typeof found>): string[] => {
  const all = found(...args);
  expect(all.problems).toEqual([]);
  return all.warnings;
};

const undo = (args: Written): Written => ({ compensate: { tool: "u", arguments: args } });

describe("what a definition is made of", () => {
  it.each<[string, Written[], string[]]>([
    [
      "two bodies",
      [call("a", { steps: [call("b")] })],
      ["steps[0]: expected one of tool, steps, parallel and switch, got tool and steps"],
    ],
    [
      "no body",
      [{ id: "a" }],
      ["steps[0]: expected one of tool, steps, parallel and switch, got none"],
    ],
    [
      "an id that comes again, at any depth",
      [call("a"), { id: "g", parallel: [call("b"), call("a")] }],
      ['steps[1].parallel[1].id: a second step of the id "a"'],
    ],
    [
      "what goes with a tool, without one",
      [{ id: "g", arguments: { v: 1 }, timeoutMs: 5, retry: {}, steps: [call("a")] }],
      [
        "steps[0].retry: goes with tool, and this step has none",
        "steps[0].timeoutMs: goes with tool, and this step has none",
        "steps[0].arguments: goes with tool, and this step has none",
      ],
    ],
    [
      "a default without the action, and the action without a default",
      [
        call("a", { onError: { action: "default" } }),
        call("b", { onError: { action: "continue", default: 1 } }),
      ],
      [
        'steps[0].onError: the action "default" needs "default", the result',
        'steps[1].onError.default: goes with the action "default"',
      ],
    ],
    [
      "verify without how",
      [call("a", { onUnknown: "verify" })],
      ['steps[0].onUnknown: needs "verify", which says how'],
    ],
  ])("%s", (_, steps, wanted) => {
    expect(problems(steps)).toEqual(wanted);
  });

  it("has no keys of sagas in a chain", () => {
    const step = call("a", {
      compensate: false,
      onUnknown: "stop",
      pivot: true,
      verify: { tool: "v", happened: "true" },
    });
    expect(problems([step], {}, "chain")).toEqual(
      ["compensate", "verify", "onUnknown", "pivot"].map(
        (key) => `steps[0].${key}: is for sagas: a chain undoes nothing`,
      ),
    );
  });

  it.each(["input", "steps", "event", "step", "arguments", "result", "index", "true", "null"])(
    "cannot call an element %s",
    (as) => {
      expect(problems([call("a", { forEach: { in: [], as } })])).toEqual([
        `steps[0].forEach.as: the name "${as}" is taken`,
      ]);
    },
  );

  it("cannot call an element as that of a loop around it", () => {
    const inner = call("b", { forEach: { in: "${{ x }}", as: "x" } });
    expect(problems([{ id: "a", forEach: { in: [], as: "x" }, steps: [inner] }])).toEqual([
      'steps[0].steps[0].forEach.as: the name "x" is taken',
    ]);
    const beside = ["a", "b"].map((id) => call(id, { forEach: { in: [], as: "x" } }));
    expect(problems(beside)).toEqual([]);
  });

  it.each<[unknown, string | undefined]>([
    ["${{ input.list }}", undefined],
    [[1, "${{ input.x }}"], undefined],
    ["${{ [1] + input.list }}", undefined],
    ["text", "expected a list, or one expression that gives a list"],
    [" ${{ input.list }}", "expected a list, or one expression that gives a list"],
    ["${{ input.a }}${{ input.b }}", "expected a list, or one expression that gives a list"],
    ["${{ input.list }} }}", "expected a list, or one expression that gives a list"],
    ["${{ 1 + 2 }}", "expected a list, got a number"],
  ])("goes through %j", (list, problem) => {
    expect(problems([call("a", { forEach: { in: list } })])).toEqual(
      problem === undefined ? [] : [`steps[0].forEach.in: ${problem}`],
    );
  });

  it.each([
    ["when", { when: "1 + 1" }, "steps[0].when: expected true or false, got a number"],
    [
      "happened",
      { verify: { tool: "v", happened: "'yes'" } },
      "steps[0].verify.happened: expected true or false, got a string",
    ],
  ])("has %s that gives true or false", (_, over, problem) => {
    expect(problems([call("a", over)])).toEqual([problem]);
  });

  it("tells of an expression that is wrong where it stands", () => {
    const steps = [call("a", { arguments: { v: [{ "w/x": "${{ 1 + }}" }] }, when: "nope" })];
    const [when, args] = problems(steps);
    expect(when).toMatch(/^steps\[0\]\.when: `nope`, character 1: no name "nope"; there are /);
    expect(args).toMatch(/^steps\[0\]\.arguments\.v\[0\]\.w\/x: `1 \+`/);
  });

  it("tells of all that is wrong at once", () => {
    const steps = [
      call("a", { when: "1", onUnknown: "verify", arguments: { v: "${{ steps.z.result }}" } }),
      call("a", { forEach: { in: "x", as: "input" } }),
    ];
    expect(problems(steps)).toHaveLength(6);
  });
});

describe("what a step reads of others", () => {
  const reads = (expression: string, over: Written = {}): Written =>
    call("r", { arguments: { v: `\${{ ${expression} }}` }, ...over });
  const at = "arguments.v";

  it.each<[string, Written[], string]>([
    [
      "a step that is not there",
      [call("a"), reads("steps.b.result")],
      `steps[1].${at}: there is no step "b"; done here: a`,
    ],
    [
      "a step that comes later",
      [reads("steps.b.result"), call("b")],
      `steps[0].${at}: step "b" is not done yet here`,
    ],
    ["itself", [reads("steps.r.result")], `steps[0].${at}: step "r" is not done yet here`],
    [
      "a step beside it",
      [{ id: "p", parallel: [call("b"), reads("steps.b.result")] }],
      `steps[0].parallel[1].${at}: step "b" is not done yet here`,
    ],
    [
      "a step of another case",
      [
        {
          id: "s",
          switch: { value: "input.x", cases: { a: [call("b")], c: [reads("steps.b.result")] } },
        },
      ],
      `steps[0].switch.cases.c[0].${at}: step "b" is not done yet here`,
    ],
    [
      "a step inside a loop, from outside",
      [{ id: "l", forEach: { in: [1] }, steps: [call("b")] }, reads("steps.b.result")],
      `steps[1].${at}: step "b" is not done yet here`,
    ],
    [
      "what a step has not",
      [call("a"), reads("steps.a.reslt")],
      `steps[1].${at}: expected steps.a.result, .error or .errors, got .reslt`,
    ],
    ["a key that is none", [reads("step.id")], `steps[0].${at}: expected step.key, got step.id`],
  ])("cannot be %s", (_, steps, problem) => {
    expect(problems(steps)).toEqual([problem]);
  });

  it("can be what is done in a group, a parallel or a switch before it", () => {
    const steps = [
      { id: "g", steps: [call("a"), reads("steps.a.result")] },
      { id: "p", parallel: [call("b"), call("c", { when: "steps.a.error == null" })] },
      { id: "s", switch: { value: "input.x", cases: { x: [call("d")] }, default: [call("e")] } },
      call("z", { arguments: { v: "${{ [steps.b.result, steps.d.result, steps.e.errors] }}" } }),
    ];
    expect(problems(steps)).toEqual([]);
  });

  it("can be what a group has done, in its output, and not the elements of a loop", () => {
    const group = { id: "g", steps: [call("a")], output: "${{ steps.a.result }}" };
    expect(problems([group])).toEqual([]);
    expect(problems([{ ...group, forEach: { in: [1] } }])).toEqual([
      'steps[0].output: step "a" is not done yet here',
    ]);
  });

  it("is checked in the output of the whole", () => {
    expect(problems([call("a")], { output: { v: ["${{ steps.b.result }}"] } })).toEqual([
      'output.v[0]: there is no step "b"; done here: a',
    ]);
  });

  it("is, of its own arguments, what it sends", () => {
    const look = {
      tool: "v",
      arguments: { v: "${{ arguments.y }}" },
      happened: "arguments.z == 1",
    };
    const step = call("a", {
      arguments: { x: 1 },
      verify: { ...look, result: "${{ arguments.q }}" },
      ...undo({
        ok: "${{ arguments.x }}",
        maybe: "${{ arguments.?w }}",
        not: "${{ arguments.w }}",
      }),
    });
    expect(problems([step])).toEqual([
      'steps[0].compensate.arguments.not: the step sends no argument "w"',
      'steps[0].verify.arguments.v: the step sends no argument "y"',
      'steps[0].verify.result: the step sends no argument "q"',
      'steps[0].verify.happened: the step sends no argument "z"',
    ]);
  });

  const skipped = (id: string): string =>
    `steps.${id}.result is null where step "${id}" is skipped or fails`;
  it.each<[string, Written[], string[]]>([
    ["was skipped", [call("a", { when: "input.x" }), reads("steps.a.result.v")], [skipped("a")]],
    [
      "was let fail",
      [call("a", { onError: { action: "continue" } }), reads("steps.a.result.v")],
      [skipped("a")],
    ],
    [
      "stood in a group that was skipped",
      [{ id: "g", when: "input.x", steps: [call("a")] }, reads("steps.a.result.v")],
      [skipped("a")],
    ],
    [
      "stood in a group that was let fail",
      [
        { id: "g", onError: { action: "default", default: 1 }, steps: [call("a")] },
        reads("steps.a.result.v"),
      ],
      [skipped("a")],
    ],
    [
      "stood beside others of which all are collected",
      [{ id: "p", mode: "collect", parallel: [call("a")], output: "${{ steps.a.result.v }}" }],
      [skipped("a")],
    ],
    [
      "stood in a case",
      [
        { id: "s", switch: { value: "input.x", cases: { c: [call("a")] }, default: [] } },
        reads("steps.a.result.v"),
      ],
      [skipped("a")],
    ],
    [
      "ends with what was skipped",
      [
        { id: "a", steps: [call("x"), { id: "y", steps: [call("z", { when: "input.x" })] }] },
        reads("steps.a.result.v"),
      ],
      [skipped("a")],
    ],
    [
      "stands in the same group",
      [{ id: "g", when: "input.x", steps: [call("a"), reads("steps.a.result.v")] }],
      [],
    ],
    [
      "stands in the same case",
      [
        {
          id: "s",
          switch: { value: "input.x", cases: { c: [call("a"), reads("steps.a.result.v")] } },
        },
      ],
      [],
    ],
    [
      "was skipped, where that is asked",
      [call("a", { when: "input.x" }), reads("has(steps.a.result.v)")],
      [],
    ],
    ["was skipped, as a whole", [call("a", { when: "input.x" }), reads("steps.a.result")], []],
  ])("may be null where it %s", (_, steps, wanted) => {
    expect(warnings(steps).map((line) => line.replace(/^.*?: /, ""))).toEqual(wanted);
  });
});

describe("what is read of the input", () => {
  const given = (schema: Written, expression: string) =>
    found([call("a", { arguments: { v: `\${{ ${expression} }}` } })], { inputSchema: schema });
  const at = "steps[0].arguments.v";
  const properties = { a: {}, d: { default: 1 } };

  it.each<[Written, string, object]>([
    [{}, "input.a.b", {}],
    [{ properties, required: ["a"] }, "input.a", {}],
    [{ properties }, "input.d", {}],
    [{ properties }, "input.?a", {}],
    [{ properties }, "has(input.a)", {}],
    [
      { properties },
      "input.a",
      { warnings: [`${at}: input.a may be missing: it is not required, and has no default`] },
    ],
    [{ properties }, "input.b", { warnings: [`${at}: the inputSchema does not name "b"`] }],
    [
      { properties, additionalProperties: false },
      "input.b",
      { problems: [`${at}: the inputSchema has no "b"`] },
    ],
    [{ properties }, "input.toString", { warnings: [expect.stringContaining("toString")] }],
  ])("of %j by %s", (schema, expression, wanted) => {
    expect(given(schema, expression)).toEqual({ problems: [], warnings: [], ...wanted });
  });
});

it.each<[string, Written]>([
  ["its own onError", call("a", { onUnknown: "compensate", onError: { action: "continue" } })],
  [
    "that of the steps around it",
    {
      id: "g",
      steps: [call("a", { onUnknown: "compensate" })],
      onError: { action: "default", default: 1 },
    },
  ],
  [
    "a parallel that collects",
    { id: "g", mode: "collect", parallel: [call("a", { onUnknown: "compensate" })] },
  ],
])("what is undone as if it had happened is not taken for nothing by %s", (_, step) => {
  expect(problems([step])).toEqual([expect.stringContaining("does not go with onError")]);
});

describe("the pivot", () => {
  it.each<[string, Written[], string[]]>([
    [
      "comes once",
      [call("a", { pivot: true }), call("b", { pivot: true })],
      ["steps[1].pivot: a second pivot; there is one at most"],
    ],
    [
      "is of the top level",
      [{ id: "g", steps: [call("a", { pivot: true })] }],
      ["steps[0].steps[0].pivot: expected a step of the top level that calls one tool once"],
    ],
    [
      "calls one tool once",
      [call("a", { pivot: true, forEach: { in: [1] } })],
      ["steps[0].pivot: expected a step of the top level that calls one tool once"],
    ],
    [
      "is not skipped or let fail",
      [call("a", { pivot: true, when: "input.x", onError: { action: "continue" } })],
      ["when", "onError"].map(
        (key) =>
          `steps[0].${key}: does not go with pivot: what follows relies on it having happened`,
      ),
    ],
    ...(["retry", "compensate"] as const).map((onUnknown): [string, Written[], string[]] => [
      `is not ${onUnknown} where nobody knows`,
      [call("a", { pivot: true, onUnknown })],
      [
        'steps[0].onUnknown: expected "verify" or "stop": nobody knows on which side of the pivot the run is',
      ],
    ]),
  ])("%s", (_, steps, wanted) => {
    expect(problems(steps)).toEqual(wanted);
  });

  it("has compensations from it on told as of no use", () => {
    const steps = [
      call("a", undo({})),
      call("p", { pivot: true, ...undo({}) }),
      call("b", undo({})),
    ];
    expect(warnings(steps)).toEqual(
      [1, 2].map(
        (n) => `steps[${n}].compensate: is never used: from the pivot on nothing is undone`,
      ),
    );
  });
});

describe("what undoes a step of which nobody knows", () => {
  const verify = { tool: "v", happened: "true" };
  const args = { id: "${{ result.id }}" };

  it("does not read its result where it is undone all the same", () => {
    expect(problems([call("a", { onUnknown: "compensate", ...undo(args) })])).toEqual([
      'steps[0].compensate.arguments: reads result, which is not known where onUnknown is "compensate": use arguments or step.key',
    ]);
  });

  it("may read null where it is only known that it happened", () => {
    expect(warnings([call("a", { verify, ...undo(args) })])).toEqual([
      "steps[0].compensate.arguments: reads result, which is null where verify finds that the step happened: give verify.result",
    ]);
    expect(warnings([call("a", { verify: { ...verify, result: {} }, ...undo(args) })])).toEqual([]);
  });
});

describe("a definition that is too much", () => {
  const nested = (depth: number): Written =>
    depth === 0 ? call("x") : { id: `n${depth}`, steps: [nested(depth - 1)] };

  it("is refused with nothing else said of it", () => {
    const many = Array.from({ length: 10_000 }, (_, n) => call(`s${n}`));
    expect(problems(many, { output: "${{ steps.s1.result }}" })).toEqual([
      "steps: expected at most 200 steps, got 10000",
    ]);
    expect(problems([nested(8)])).toEqual([
      `${"steps[0].".repeat(8)}steps: expected at most 8 levels of steps in each other`,
    ]);
    expect(problems([nested(7)])).toEqual([]);
  });

  it.each([500, 5000, 50_000])("is refused where it is %i levels deep", (depth) => {
    let inner: unknown = "x";
    for (let n = 0; n < depth; n++) inner = n % 2 ? [inner] : { steps: inner };
    let steps: unknown = call("x");
    for (let n = 0; n < depth; n++) steps = { id: `n${n}`, steps: [steps] };
    for (const written of [[steps], [call("a", { arguments: { inner } })], inner])
      expect(problems(written).length).toBeGreaterThan(0);
  });

  it("is refused in no time where its words are huge", () => {
    const huge = "x".repeat(2_000_000);
    const at = performance.now();
    for (const written of [
      [call(huge)],
      [call("a", { [huge]: 1 })],
      [call("a", { when: huge })],
      [call("a", { arguments: { v: "${{ ".repeat(200_000) } })],
      [call("a", { arguments: { v: `\${{ ${"(".repeat(4000)} }}` } })],
      huge,
    ])
      expect(problems(written).length).toBeGreaterThan(0);
    expect(performance.now() - at).toBeLessThan(5000);
  });
});
