import pLimit from "p-limit";
import * as z from "zod";
import type { Call, JsonObject, Result } from "../call.ts";
import { failureOfError, failureOfResult, type CallFailure } from "../call-failure.ts";
import { showValue } from "../config/problems.ts";
import { asCallError } from "../errors.ts";
import { now } from "../time.ts";
import { pause } from "../wait.ts";
import type { OwnTool } from "./own-tools.ts";
import { argumentsOf, refused } from "./arguments.ts";

/** The way from a batch to the tools that clients see. */
export interface BatchDoor {
  /** Whether that is a tool, and one that runs no other tools: a batch must neither hide what is run, nor never end. */
  readonly knows: (name: string) => boolean;
  /** Why config does not let a batch call it; undefined where it does. */
  readonly forbids: (name: string) => string | undefined;
  /** Calls it through its whole stack. */
  readonly callTool: (
    name: string,
    args: JsonObject,
    from: Pick<Call, "caller" | "signal" | "onProgress">,
  ) => Promise<Result>;
}

const mostItems = 10_000;

const schema = z.strictObject({
  tool: z.string(),
  items: z.array(z.record(z.string(), z.unknown())).max(mostItems),
  maxConcurrent: z.int().min(1).max(64).default(5),
  requestsPerSecond: z.number().min(0).max(10_000).default(0),
  chunkSize: z.int().min(1).max(mostItems).default(100),
});

type Batch = z.infer<typeof schema>;

/** What became of one item. */
type ItemResult =
  | { readonly index: number; readonly ok: true; readonly result: Result }
  | {
      readonly index: number;
      readonly ok: false;
      readonly error: Readonly<Record<"code" | "outcome" | "message", string>>;
    };

/** Milliseconds between two notes of progress. */
const progressEvery = 100;

const count = { type: "integer", minimum: 0 };

/** `batch`: one tool, many times. */
export const batchTool = (door: BatchDoor): OwnTool => ({
  definition: {
    name: "batch",
    title: "Run a tool over many items",
    description:
      "Calls one tool once for each of many argument objects, a few at a time, and answers with a result or an error for each, in their order. An item that fails does not stop the others. Use it instead of many single calls of the same tool.",
    inputSchema: {
      type: "object",
      properties: {
        tool: { type: "string", description: "The tool's name, as it is listed." },
        items: {
          type: "array",
          items: { type: "object" },
          maxItems: mostItems,
          description: "The arguments of each call.",
        },
        maxConcurrent: {
          type: "integer",
          minimum: 1,
          maximum: 64,
          default: 5,
          description: "Calls under way at once.",
        },
        requestsPerSecond: {
          type: "number",
          minimum: 0,
          maximum: 10_000,
          default: 0,
          description: "Calls begun in a second, evenly spread; 0: as many as can be.",
        },
        chunkSize: {
          type: "integer",
          minimum: 1,
          maximum: mostItems,
          default: 100,
          description: "Items that must all have ended before the next ones begin.",
        },
      },
      required: ["tool", "items"],
      additionalProperties: false,
    },
    outputSchema: {
      type: "object",
      properties: {
        results: {
          type: "array",
          items: {
            type: "object",
            properties: {
              index: { ...count, description: "The item's place, from 0." },
              ok: { type: "boolean" },
              result: { type: "object", description: "The tool's result, where ok." },
              error: {
                type: "object",
                properties: {
                  code: { type: "string" },
                  outcome: { enum: ["failed", "answered", "unknown", "done"] },
                  message: { type: "string" },
                },
                required: ["code", "outcome", "message"],
              },
            },
            required: ["index", "ok"],
          },
        },
        done: { ...count, description: "Items that are ok." },
        failed: { ...count, description: "Items that are not." },
      },
      required: ["results", "done", "failed"],
    },
    annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: true },
  },
  run: async (call) => {
    const batch = argumentsOf(call, schema);
    if (!door.knows(batch.tool))
      throw refused(
        `arguments.tool: expected a tool that is listed and runs no others, got ${showValue(batch.tool, [])}`,
      );
    const forbidden = door.forbids(batch.tool);
    if (forbidden !== undefined) throw refused(forbidden);
    const results = await runBatch(batch, call, door);
    const done = results.filter(({ ok }) => ok).length;
    return { results, done, failed: results.length - done };
  },
});

/** Resolves with what became of each item, in order. Rejects when the call is cancelled; then no more is begun. */
async function runBatch(
  { tool, items, maxConcurrent, requestsPerSecond, chunkSize }: Batch,
  call: Call,
  { callTool }: BatchDoor,
): Promise<ItemResult[]> {
  const limit = pLimit(maxConcurrent);
  const turn = turns(call, requestsPerSecond);
  const ended = progress(call, items.length);
  const { caller, signal } = call;
  // An item's own progress is asked for so that it can extend the item's time.
  const from = { caller, signal, onProgress: call.onProgress && (() => {}) };
  const callItem = async (item: JsonObject, index: number): Promise<ItemResult> => {
    try {
      return itemResult(index, await callTool(tool, item, from));
    } catch (error) {
      return itemFailure(index, failureOfError(asCallError(error)));
    }
  };
  const runItem = async (item: JsonObject, index: number): Promise<ItemResult> => {
    if (signal.reason !== undefined) throw signal.reason;
    await turn();
    const result = await callItem(item, index);
    if (signal.reason !== undefined) throw signal.reason;
    ended();
    return result;
  };
  const results: ItemResult[] = [];
  for (let start = 0; start < items.length; start += chunkSize) {
    const chunk = items.slice(start, start + chunkSize);
    const runs = chunk.map((item, n) => limit(runItem, item, start + n));
    // oxlint-disable-next-line no-await-in-loop -- one chunk after the other
    results.push(...(await Promise.all(runs)));
  }
  return results;
}

/** Waits until the next call may begin; rejects at once when the call is cancelled. */
function turns(call: Call, perSecond: number): () => Promise<void> | undefined {
  if (perSecond === 0) return () => undefined;
  let next = now();
  return () => {
    const begun = now();
    const at = Math.max(next, begun);
    next = at + 1000 / perSecond;
    return at > begun ? pause(call, Math.ceil(at - begun)) : undefined;
  };
}

/** Tells how many items have ended: now and then, and at the end. */
function progress({ onProgress }: Call, total: number): () => void {
  let ended = 0;
  let told = -Infinity;
  return () => {
    ended++;
    if (ended < total && now() - told < progressEvery) return;
    told = now();
    onProgress?.({ progress: ended, total });
  };
}

function itemResult(index: number, result: Result): ItemResult {
  const failure = failureOfResult(result);
  return failure === undefined ? { index, ok: true, result } : itemFailure(index, failure);
}

const itemFailure = (index: number, { code, outcome, message }: CallFailure): ItemResult => ({
  index,
  ok: false,
  error: { code, outcome, message },
});
