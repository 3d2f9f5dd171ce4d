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
  tools: Pick<Tools, "leaves">,
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
  tools: Pick<Tools, "leaves">,
): ToolDefinition {
  const leaves = toolNames(steps).flatMap((tool) => tools.leaves(tool));
  const all = leaves.every((tool) => tool !== undefined);
  const hint = (key: string): unknown[] =>
    leaves.map((tool) => (tool?.definition["annotations"] as JsonObject | undefined)?.[key]);
  const readOnlyHint = all && leaves.every((tool) => tool?.effect === "read");
  return {
    name,
    ...(title !== undefined && { title }),
    description: description ?? `Runs the ${kind} ${name} of Holdfast's config.`,
    inputSchema: { type: "object", ...inputSchema },
    annotations: {
      readOnlyHint,
      ...(!readOnlyHint && {
        idempotentHint: all && leaves.every((tool) => tool?.effect !== "write"),
        destructiveHint: hint("destructiveHint").some((value) => value !== false),
      }),
      openWorldHint: hint("openWorldHint").some((value) => value !== false),
    },
  };
}

type Steps = Definition["steps"];

/** The tools that steps may come to call, each once: also those that undo and verify. */
export const toolNames = (steps: Steps): string[] => [
  ...new Set(
    steps.flatMap(({ tool, compensate, verify, steps: inner = [], parallel = [], ...step }) => [
      ...[tool, compensate === false ? undefined : compensate?.tool, verify?.tool].filter(
        (name) => name !== undefined,
      ),
      ...toolNames([
        ...inner,
        ...parallel,
        ...Object.values(step.switch?.cases ?? {}).flat(),
        ...(step.switch?.default ?? []),
      ]),
    ]),
  ),
];
