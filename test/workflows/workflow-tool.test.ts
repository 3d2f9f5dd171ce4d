import { describe, expect, it } from "vitest";
import type { JsonObject, Tool } from "../../src/call.ts";
import { toolNames, workflowTool } from "../../src/workflows/workflow-tool.ts";
import type { Workflows } from "../../src/workflows/workflows.ts";
import { call, outcomeOf, tool } from "../support/calls.ts";
import { programOf } from "../support/workflows.ts";

const hints = (over: JsonObject): Partial<Tool> => ({
  definition: { name: "x", annotations: over },
});
const tools: Record<string, Tool> = {
  reads: tool({ effect: "read", ...hints({ readOnlyHint: true, openWorldHint: false }) }),
  sets: tool({ effect: "idempotent", ...hints({ destructiveHint: false, openWorldHint: false }) }),
  adds: tool({ effect: "write", ...hints({ destructiveHint: false }) }),
  silent: tool({ effect: "write", definition: { name: "x" } }),
};

function made(steps: JsonObject[], over: JsonObject = {}) {
  const asked: unknown[] = [];
  const workflows = {
    run: (...args: unknown[]) => {
      asked.push(args);
      return Promise.resolve({ id: "r", state: "completed", output: { v: 1 } });
    },
  } as unknown as Workflows;
  const { definition } = programOf({ steps, ...over });
  const own = workflowTool("order", { kind: "saga", definition }, () => workflows, {
    leaves: (name) => [tools[name]],
  });
  if (!("answer" in own) || typeof own.definition !== "function") return expect.unreachable();
  const { definition: define } = own;
  const annotations = () => define()["annotations"] as JsonObject;
  return { own, asked, annotations, definition: define };
}

const calls = (...names: string[]): JsonObject[] =>
  names.map((name, n) => ({ id: `s${n}`, tool: name }));

describe("the annotations of a chain or saga", () => {
  it.each<[string[], JsonObject]>([
    [["reads"], { readOnlyHint: true, openWorldHint: false }],
    [
      ["reads", "sets"],
      { readOnlyHint: false, idempotentHint: true, destructiveHint: true, openWorldHint: false },
    ],
    [
      ["sets"],
      { readOnlyHint: false, idempotentHint: true, destructiveHint: false, openWorldHint: false },
    ],
    [
      ["sets", "adds"],
      { readOnlyHint: false, idempotentHint: false, destructiveHint: false, openWorldHint: true },
    ],
    [
      ["silent"],
      { readOnlyHint: false, idempotentHint: false, destructiveHint: true, openWorldHint: true },
    ],
    [
      ["reads", "gone"],
      { readOnlyHint: false, idempotentHint: false, destructiveHint: true, openWorldHint: true },
    ],
  ])("of %j are those of the worst of its tools", (names, wanted) => {
    expect(made(calls(...names)).annotations()).toEqual(wanted);
  });

  it("count what undoes, too", () => {
    const [step] = calls("reads");
    const { annotations } = made([{ ...step, compensate: { tool: "silent" } }]);
    expect(annotations()).toMatchObject({ readOnlyHint: false, destructiveHint: true });
  });
});

describe("a chain or saga as a tool", () => {
  it("has the definition's words and input", () => {
    const inputSchema = { properties: { a: {} }, required: ["a"] };
    expect(
      made(calls("reads"), { title: "T", description: "D", inputSchema }).definition(),
    ).toMatchObject({
      name: "order",
      title: "T",
      description: "D",
      inputSchema: { type: "object", ...inputSchema },
    });
    expect(made(calls("reads")).definition()).not.toHaveProperty("title");
  });

  it("runs by its name with the call's arguments", async () => {
    const { own, asked } = made(calls("reads"));
    const request = call({ params: { name: "order", arguments: { a: 1 } } });
    if (!("answer" in own)) return;
    expect(await own.answer(request)).toMatchObject({ structuredContent: { v: 1 } });
    expect(asked).toEqual([[{ name: "order", input: { a: 1 } }, "saga", request]]);
    const wrong = own.answer(call({ params: { name: "order", arguments: [] } }));
    expect(await outcomeOf(wrong)).toMatchObject({ message: "arguments: expected an object" });
  });
});

describe("toolNames", () => {
  it("has each tool that steps may come to call, once, at any depth", () => {
    const { definition } = programOf({
      steps: [
        {
          id: "a",
          tool: "t1",
          compensate: { tool: "u1" },
          verify: { tool: "v1", happened: "true" },
        },
        { id: "b", tool: "t1", compensate: false },
        { id: "g", steps: [{ id: "p", parallel: [{ id: "c", tool: "t2" }] }] },
        {
          id: "s",
          switch: {
            value: "1",
            cases: { x: [{ id: "d", tool: "t3" }] },
            default: [{ id: "e", tool: "t4" }],
          },
        },
      ],
    });
    expect(toolNames(definition.steps)).toEqual(["t1", "u1", "v1", "t2", "t3", "t4"]);
  });
});
