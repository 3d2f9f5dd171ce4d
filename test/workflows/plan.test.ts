import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { linesOf, planOf, writesOf } from "../../src/workflows/plan.ts";
import { doorTo, programOf, type Scripted } from "../support/workflows.ts";

const tools: Record<string, Scripted> = {
  write: {},
  undo: { effect: "idempotent" },
  look: { effect: "read" },
};
const plan = (steps: JsonObject[], input: JsonObject = {}, kind: "chain" | "saga" = "saga") =>
  planOf(programOf({ steps }, kind), kind, input, doorTo(tools).door);

const write = (id: string, over: JsonObject = {}): JsonObject => ({ id, tool: "write", ...over });

describe("planOf", () => {
  it("tells what would be called, with what the input makes known", () => {
    const step = write("a", {
      arguments: {
        x: "${{ input.x + 1 }}",
        y: "${{ steps }}",
        z: "no. ${{ input.gone }}",
        l: ["${{ input.x }}"],
      },
      when: "input.x > 0",
      compensate: { tool: "undo", arguments: { id: "${{ result.id }}", x: "${{ input.x }}" } },
    });
    expect(plan([step], { x: 1 })).toEqual([
      {
        step: "a",
        when: true,
        tool: "write",
        effect: "write",
        arguments: { x: 2, y: "${{ steps }}", z: "no. ${{ input.gone }}", l: [1] },
        undo: { tool: "undo", effect: "idempotent", arguments: { id: "${{ result.id }}", x: 1 } },
      },
    ]);
  });

  it("shows loops, groups and branches, and what is not known as it is written", () => {
    const steps = [
      {
        id: "l",
        forEach: { in: "${{ input.list }}" },
        steps: [write("a", { arguments: { v: "${{ item }}" } })],
      },
      { id: "p", parallel: [write("b", { when: "steps.l.result != null" })] },
      {
        id: "s",
        switch: {
          value: "input.x",
          cases: { one: [write("c")], default: [write("d")] },
          default: [write("e")],
        },
      },
      write("f", { pivot: true }),
      write("g"),
    ];
    expect(plan(steps, { list: [1], x: "one" })).toMatchObject([
      { step: "l", forEach: [1], steps: [{ step: "a", arguments: { v: "${{ item }}" } }] },
      { step: "p", parallel: [{ step: "b", when: "steps.l.result != null" }] },
      {
        step: "s",
        switch: "one",
        cases: { one: [{ step: "c" }], default: [{ step: "d" }] },
        default: [{ step: "e" }],
      },
      { step: "f", pivot: true, undo: null },
      { step: "g", undo: null },
    ]);
  });

  it("takes a tool that is not there for one that writes", () => {
    expect(plan([{ id: "a", tool: "gone" }], {}, "chain")).toMatchObject([{ effect: "write" }]);
  });

  it.each(["input.gone", "1 / 0", "input.x[5]", "size(input.x[0])", "input.x ? 1 : 2"])(
    "never throws: %s",
    (text) => {
      const steps = [write("a", { when: `(${text}) == 1`, arguments: { v: `\${{ ${text} }}` } })];
      expect(() => plan(steps, { x: [] })).not.toThrow();
    },
  );
});

describe("writesOf", () => {
  it("has a line for each call that changes something, wherever it stands", () => {
    const steps = [
      write("a", { arguments: { v: "x".repeat(1000) } }),
      { id: "r", tool: "look" },
      {
        id: "s",
        switch: {
          value: "input.x",
          cases: { default: [write("b")], other: [{ id: "p", parallel: [write("c")] }] },
          default: [write("d")],
        },
      },
    ];
    const lines = writesOf(plan(steps, {}, "chain"));
    expect(lines.map((line) => line.slice(0, 8))).toEqual([
      "a: write",
      "b: write",
      "c: write",
      "d: write",
    ]);
    expect(lines[0]?.length).toBeLessThan(330);
  });

  it("has a line for what would undo, also of a step that only reads", () => {
    const compensate = { tool: "write", arguments: { id: "${{ arguments.id }}" } };
    const steps = [
      { id: "r", tool: "look", arguments: { id: 1 }, compensate },
      write("f", { pivot: true }),
    ];
    expect(writesOf(plan(steps))).toEqual([
      'r, to undo it: write {"id":"${{ arguments.id }}"}',
      "f: write {}",
    ]);
  });

  it("says of what stands in loops how often it is done", () => {
    const compensate = { tool: "undo" };
    const steps = [
      {
        id: "l",
        forEach: { in: "${{ input.list }}" },
        steps: [
          write("a", { compensate }),
          write("b", { forEach: { in: "${{ item }}", as: "x" } }),
        ],
      },
      write("c"),
    ];
    expect(writesOf(plan(steps, { list: [[1], [2, 3]] }))).toEqual([
      "a, for each of [[1],[2,3]]: write {}",
      "a, for each of [[1],[2,3]], to undo it: undo {}",
      'b, for each of [[1],[2,3]], for each of "${{ item }}": write {}',
      "c: write {}",
    ]);
  });

  it("has nothing of a plan that only reads", () => {
    expect(writesOf(plan([{ id: "r", tool: "look" }]))).toEqual([]);
  });
});

describe("linesOf", () => {
  it("says where, and what", () => {
    const lines = linesOf([
      { path: ["steps", 0, "tool"], message: "no" },
      { path: [], message: "nothing" },
    ]);
    expect(lines).toEqual(["steps[0].tool: no", "nothing"]);
  });
});
