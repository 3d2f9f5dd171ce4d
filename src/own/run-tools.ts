/*
 * The tools that run chains and sagas, and look after their runs.
 */
import * as z from "zod";
import type { Call, JsonObject } from "../call.ts";
import { runResult } from "../workflows/run-result.ts";
import type { Wait } from "../workflows/active-run.ts";
import type { Runs } from "../workflows/runs.ts";
import { defaultWaitMs, type Workflows } from "../workflows/workflows.ts";
import { argumentsOf, refused } from "./arguments.ts";
import type { OwnTool } from "./own-tools.ts";

/** Asked when a tool is called: config may have changed since the tools were made. */
interface Around {
  readonly workflows: () => Workflows;
  readonly runs: Runs;
}

const longestWaitMs = 86_400_000;
const waitMs = z.int().min(0).max(longestWaitMs).default(defaultWaitMs);
const object = z.record(z.string(), z.unknown());

const runArguments = z.strictObject({
  name: z.string().optional(),
  definition: object.optional(),
  input: object.default({}),
  dryRun: z.boolean().default(false),
  waitMs,
});
const planArguments = z.strictObject({
  name: z.string().optional(),
  definition: object.optional(),
  kind: z.enum(["chain", "saga"]).optional(),
  input: object.default({}),
});
const states = ["running", "compensating", "completed", "failed", "compensated", "stuck"] as const;
const listArguments = z.strictObject({
  name: z.string().optional(),
  state: z.enum(states).optional(),
  limit: z.int().min(1).max(1000).default(50),
});
const idArguments = z.strictObject({ id: z.string().min(1) });
const waitArguments = z.strictObject({ id: z.string().min(1), waitMs });
const resolveArguments = z.strictObject({
  id: z.string().min(1),
  happened: z.boolean(),
  step: z.string().optional(),
  result: z.unknown().optional(),
  waitMs,
});

const text = { type: "string" };
const anyObject = { type: "object" };
const wait = {
  type: "integer",
  minimum: 0,
  maximum: longestWaitMs,
  default: defaultWaitMs,
  description: "Milliseconds to wait for the end; then the answer is the state as it is.",
};
const idOf = { ...text, description: "The run's id, as run_saga or list_runs tells it." };
const head = {
  id: text,
  name: text,
  kind: { enum: ["chain", "saga"] },
  version: { ...text, description: "Changes with the definition." },
  state: { enum: states },
  startedAt: text,
  endedAt: text,
  trace: text,
  reason: text,
};
const steps = {
  type: "array",
  items: {
    type: "object",
    properties: {
      step: text,
      tool: text,
      effect: text,
      state: text,
      undo: text,
      error: text,
      undoError: text,
    },
    required: ["step", "tool", "state"],
  },
};
const view = {
  type: "object",
  properties: {
    ...head,
    steps,
    error: anyObject,
    open: { type: "array", items: anyObject },
    missing: { type: "array", items: text },
  },
  required: ["id", "name", "kind", "state", "startedAt", "steps"],
};
const plan = {
  type: "object",
  properties: {
    name: text,
    kind: head.kind,
    ok: { type: "boolean", description: "Whether it can be run." },
    problems: { type: "array", items: text },
    warnings: { type: "array", items: text },
    steps: { type: "array", items: anyObject },
  },
  required: ["name", "kind", "ok", "problems", "warnings", "steps"],
};
const what = {
  name: { ...text, description: "Name of a definition of Holdfast's config." },
  definition: {
    ...anyObject,
    description:
      'A definition of your own instead: {"steps": [{"id", "tool", "arguments", …}], "output"}. Expressions are CEL in ${{ … }}, over input and steps.ID.result.',
  },
  input: { ...anyObject, description: "The input, as the definition's inputSchema wants it." },
};
const changing = { readOnlyHint: false, destructiveHint: true, openWorldHint: true };
const reading = { readOnlyHint: true, openWorldHint: false };

/** All of them. Those for sagas that need a person are listed with the rest: a run may outlive its config. */
export function runTools({ workflows, runs }: Around): OwnTool[] {
  const runTool = (kind: "chain" | "saga", title: string, description: string): OwnTool => ({
    definition: {
      name: `run_${kind}`,
      title,
      description,
      inputSchema: {
        type: "object",
        properties: {
          ...what,
          dryRun: {
            type: "boolean",
            default: false,
            description: "Check it and answer with the plan, without calling any tool.",
          },
          waitMs: wait,
        },
        additionalProperties: false,
      },
      // With dryRun it is a plan, else a run.
      outputSchema: {
        type: "object",
        properties: { ...plan.properties, ...view.properties },
        required: ["name", "kind", "steps"],
      },
      annotations: changing,
    },
    answer: async (call) => {
      const { dryRun, waitMs: ms, ...wanted } = argumentsOf(call, runArguments);
      if (dryRun) return planResult(await workflows().plan(wanted, kind));
      return runResult(await workflows().run(wanted, kind, call, ms));
    },
  });
  return [
    runTool(
      "chain",
      "Run a chain of tools",
      "Calls several tools one after the other, in parallel, over lists or on conditions, each with arguments made from the input and earlier results, and answers with the result. Use it instead of many single calls that follow from each other. What was done stays done when a later step fails; where that must not be, use run_saga.",
    ),
    runTool(
      "saga",
      "Run a saga of tools",
      "Like run_chain, for changes that belong together: each step that changes something says how it is undone (compensate), and when a step fails, all that was done is undone in reverse. It survives a crash of Holdfast.",
    ),
    {
      definition: {
        name: "plan_run",
        title: "Plan a run",
        description:
          "Checks a chain or saga and tells what it would do: its steps, their arguments as far as they are known, what they change and how that would be undone, and everything that is wrong with it. Calls no tool.",
        inputSchema: {
          type: "object",
          properties: {
            ...what,
            kind: { ...head.kind, description: "Of a definition of your own. Default: saga." },
          },
          additionalProperties: false,
        },
        outputSchema: plan,
        annotations: { readOnlyHint: true, openWorldHint: false },
      },
      answer: async (call) => {
        const { kind, ...wanted } = argumentsOf(call, planArguments);
        return planResult(await workflows().plan(wanted, kind));
      },
    },
    {
      definition: {
        name: "get_run",
        title: "Look at a run",
        description:
          "Tells how a run of a chain or saga stands: its state, its steps and their results.",
        inputSchema: {
          type: "object",
          properties: { id: idOf },
          required: ["id"],
          additionalProperties: false,
        },
        outputSchema: view,
        annotations: reading,
      },
      run: async (call) => {
        const { id } = argumentsOf(call, idArguments);
        return known(id, await runs.get(id, call.caller));
      },
    },
    {
      definition: {
        name: "list_runs",
        title: "List runs",
        description: "Lists your runs of chains and sagas, the newest first.",
        inputSchema: {
          type: "object",
          properties: {
            name: { ...text, description: "Only runs of the definition of this name." },
            state: { enum: states, description: "Only runs in this state." },
            limit: { type: "integer", minimum: 1, maximum: 1000, default: 50 },
          },
          additionalProperties: false,
        },
        outputSchema: {
          type: "object",
          properties: {
            runs: {
              type: "array",
              items: {
                type: "object",
                properties: { ...head, error: text },
                required: ["id", "name", "kind", "state", "startedAt"],
              },
            },
          },
          required: ["runs"],
        },
        annotations: reading,
      },
      run: async (call) => ({
        runs: await runs.list(argumentsOf(call, listArguments), call.caller),
      }),
    },
    {
      definition: {
        name: "cancel_run",
        title: "Take a run back",
        description:
          "Stops a chain, or stops a saga and undoes what it has done. A saga that is past its pivot can only go on.",
        inputSchema: {
          type: "object",
          properties: { id: idOf, waitMs: wait },
          required: ["id"],
          additionalProperties: false,
        },
        outputSchema: view,
        annotations: { ...changing, idempotentHint: true },
      },
      answer: async (call) => {
        const { id, waitMs: ms } = argumentsOf(call, waitArguments);
        return seen(known(id, await runs.cancel(id, call.caller, waitOf(call, ms))));
      },
    },
    {
      definition: {
        name: "resume_run",
        title: "Try a stuck saga again",
        description:
          "Lets a saga that is stuck go on from where it is: it asks again, tries again, undoes again.",
        inputSchema: {
          type: "object",
          properties: { id: idOf, waitMs: wait },
          required: ["id"],
          additionalProperties: false,
        },
        outputSchema: view,
        annotations: changing,
      },
      answer: async (call) => {
        const { id, waitMs: ms } = argumentsOf(call, waitArguments);
        return runResult(known(id, await runs.resume(id, call.caller, waitOf(call, ms))));
      },
    },
    {
      definition: {
        name: "resolve_run",
        title: "Settle a stuck saga",
        description:
          "Tells a stuck saga whether a call happened of which Holdfast does not know it, so that it can go on. Only after somebody has looked: what is said here is believed.",
        inputSchema: {
          type: "object",
          properties: {
            id: idOf,
            happened: { type: "boolean", description: "Whether the call happened." },
            step: {
              ...text,
              description: "The open call, as get_run names it. Default: the only one.",
            },
            result: { description: "What the call's result was, for the steps that follow." },
            waitMs: wait,
          },
          required: ["id", "happened"],
          additionalProperties: false,
        },
        outputSchema: view,
        annotations: changing,
      },
      answer: async (call) => {
        const { id, waitMs: ms, ...word } = argumentsOf(call, resolveArguments);
        return runResult(known(id, await runs.resolve(id, word, call.caller, waitOf(call, ms))));
      },
    },
  ];
}

function known(id: string, found: JsonObject | undefined): JsonObject {
  if (found !== undefined) return found;
  throw refused(`arguments.id: there is no run ${JSON.stringify(id)} of yours`);
}

const waitOf = ({ signal, onProgress }: Call, ms: number): Wait => ({
  waitMs: ms,
  signal,
  onProgress,
});

const planResult = (planned: object) => ({
  content: [{ type: "text", text: JSON.stringify(planned, undefined, 2) }],
  structuredContent: planned,
});

/** A run that was taken back came to the end that was asked for. */
const seen = (run: JsonObject) => {
  const { isError: _, ...result } = runResult(run);
  return run["state"] === "stuck" ? runResult(run) : result;
};
