import type { Call, JsonObject, ToolDefinition } from "../call.ts";
import type { OwnTool } from "../own/own-tools.ts";
import { refused } from "../own/arguments.ts";
import { isObject } from "../wire.ts";
import type { Tools } from "./check-tools.ts";
import type { Definition } from "./definition.ts";
import { outputResult } from "./run-result.ts";
import type { RunKind } from "./run-store.ts";
import type { Workflow, Workflows } from "./workflows.ts";

/** A chain or a saga of config as a tool. */
export const workflowTool = (
  name: string,
  { kind, definition }: Workflow,
  workflows: () => Workflows,
  tools: Tools,
): OwnTool => ({
  definition: () => definitionOf(name, kind, definition, tools),
  answer: async (call) =>
    outputResult(await workflows().run({ name, input: inputOf(call) }, kind, call)),
});

function inputOf({ params }: Call): JsonObject {
  const { arguments: input = {} } = params;
  if (isObject(input)) return input;
  throw refused("arguments: expected an object");
}

/** What it may do is what any of its tools may do, and the worst of tools that are not there. */
function definitionOf(
  name: string,
  kind: RunKind,
  { title, description, inputSchema, steps }: Definition,
  tools: Tools,
): ToolDefinition {
  const found = toolNames(steps).map((tool) => tools.find(tool));
  const known = found.flatMap((tool) => (tool === undefined || "refused" in tool ? [] : tool));
  const all = known.length === found.length;
  const hint = (key: string): unknown[] =>
    known.map(({ definition }) => (definition["annotations"] as JsonObject | undefined)?.[key]);
  const readOnlyHint = all && known.every(({ effect }) => effect === "read");
  return {
    name,
    ...(title !== undefined && { title }),
    description: description ?? `Runs the ${kind} ${name} of Holdfast's config.`,
    inputSchema: { type: "object", ...inputSchema },
    annotations: {
      readOnlyHint,
      ...(!readOnlyHint && {
        idempotentHint: all && known.every(({ effect }) => effect !== "write"),
        destructiveHint: !all || hint("destructiveHint").some((value) => value !== false),
      }),
      openWorldHint: !all || hint("openWorldHint").some((value) => value !== false),
    },
  };
}

type Steps = Definition["steps"];

/** The tools that steps call, without those that undo and verify. */
const toolNames = (steps: Steps): string[] =>
  steps.flatMap(({ tool, steps: inner = [], parallel = [], switch: branches }) => [
    ...(tool === undefined ? [] : [tool]),
    ...toolNames([
      ...inner,
      ...parallel,
      ...Object.values(branches?.cases ?? {}).flat(),
      ...(branches?.default ?? []),
    ]),
  ]);
