import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Call, JsonObject, Result } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { CallError, cancelled } from "../../src/errors.ts";
import { batchTool, type BatchDoor } from "../../src/own/batch-tool.ts";
import { OwnTools } from "../../src/own/own-tools.ts";
import { sleep } from "../../src/time.ts";
import { call, ok, outcomeOf } from "../support/calls.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

interface Seen {
  readonly begun: { readonly args: JsonObject; readonly at: number }[];
  /** How many calls were under way at once. */
  most: number;
}

/** A door that remembers what is called. */
function door(
  answer: (args: JsonObject, from: Parameters<BatchDoor["callTool"]>[2]) => Promise<Result>,
): BatchDoor & { readonly seen: Seen } {
  const seen: Seen = { begun: [], most: 0 };
  const start = performance.now();
  let active = 0;
  return {
    seen,
    knows: (name) => name === "up__do",
    forbids: () => undefined,
    callTool: async (_name, args, from) => {
      seen.begun.push({ args, at: performance.now() - start });
      seen.most = Math.max(seen.most, ++active);
      try {
        return await answer(args, from);
      } finally {
        active--;
      }
    },
  };
}

/** A door whose calls take so long each. */
const taking = (ms: number) => door(({ n }) => sleep(ms).then(() => ok(String(n))));

const items = (count: number): JsonObject[] => Array.from({ length: count }, (_, n) => ({ n }));

async function run(through: BatchDoor, given: unknown, over: Partial<Call> = {}): Promise<unknown> {
  const tools = new OwnTools(new Map([["batch", batchTool(through)]]), () =>
    Promise.resolve(undefined),
  );
  const request = call({ params: { name: "batch", arguments: given }, ...over });
  return (await tools.handle(request))["structuredContent"];
}

describe("batch", () => {
  it("answers with a result or an error for each item, in order, whenever each ends", async () => {
    const through = door(async ({ n }) => {
      await sleep(100 - Number(n) * 10);
      if (n === 1) throw new CallError("timeout", "late", { outcome: "unknown" });
      if (n === 2) return { ...ok("no such thing"), isError: true };
      if (n === 3) throw new TypeError("defect");
      return ok(String(n));
    });
    const answer = run(through, { tool: "up__do", items: items(5) });
    await vi.runAllTimersAsync();
    const error = (code: string, outcome: string, message: string) => ({ code, outcome, message });
    expect(await answer).toEqual({
      results: [
        { index: 0, ok: true, result: ok("0") },
        { index: 1, ok: false, error: error("timeout", "unknown", "late") },
        { index: 2, ok: false, error: error("upstream_error", "answered", "no such thing") },
        { index: 3, ok: false, error: error("upstream_error", "unknown", "defect") },
        { index: 4, ok: true, result: ok("4") },
      ],
      done: 2,
      failed: 3,
    });
  });

  it("says that it is unknown where an item may have happened in spite of its answer", async () => {
    const says = (text: string, more = {}): Result => ({ ...ok(text), isError: true, ...more });
    const rpc = (code: number, message: string) =>
      new CallError("upstream_error", message, { outcome: "answered", rpc: { code, message } });
    const doubt = { _meta: { "holdfast/failure": { outcome: "unknown", attempts: 2 } } };
    const cases: [Result | Error, string][] = [
      [rpc(-32603, "Internal error"), "unknown"],
      [rpc(-32602, "Wrong arguments"), "answered"],
      [says("gateway timeout"), "unknown"],
      [says("it exists already", doubt), "unknown"],
      [says("it exists already"), "answered"],
      [says("rate limit exceeded"), "answered"],
      [new CallError("unavailable", "gone", { outcome: "failed" }), "failed"],
      [new CallError("timeout", "late", { outcome: "done" }), "done"],
    ];
    const through = door(({ n }) => {
      const [answer] = cases[Number(n)] ?? [];
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer ?? ok());
    });
    expect(await run(through, { tool: "up__do", items: items(cases.length) })).toMatchObject({
      results: cases.map(([, outcome]) => ({ ok: false, error: { outcome } })),
    });
  });

  it("takes a call that throws for an error of its item", async () => {
    const through: BatchDoor = {
      knows: () => true,
      forbids: () => undefined,
      callTool: () => {
        throw new Error("it is gone");
      },
    };
    expect(await run(through, { tool: "up__do", items: items(2) })).toMatchObject({
      results: [{ error: { message: "it is gone" } }, { ok: false }],
      failed: 2,
    });
  });

  it("has 5 calls under way at once, or as many as it is told", async () => {
    for (const [maxConcurrent, most] of [
      [undefined, 5],
      [1, 1],
      [64, 30],
    ]) {
      const through = taking(10);
      const given = { tool: "up__do", items: items(30), ...(maxConcurrent && { maxConcurrent }) };
      const answer = run(through, given);
      await vi.runAllTimersAsync();
      expect(await answer).toMatchObject({ done: 30, failed: 0 });
      expect(through.seen.most).toBe(most);
    }
  });

  it("spreads the calls evenly over time where it is told how many a second", async () => {
    const through = taking(1);
    const answer = run(through, { tool: "up__do", items: items(5), requestsPerSecond: 4 });
    await vi.runAllTimersAsync();
    await answer;
    expect(through.seen.begun.map(({ at }) => at)).toEqual([0, 250, 500, 750, 1000]);
  });

  it("begins no chunk before the last has ended", async () => {
    const through = door(({ n }) => sleep(n === 0 ? 100 : 10).then(() => ok()));
    const given = { tool: "up__do", items: items(6), chunkSize: 3, maxConcurrent: 64 };
    const answer = run(through, given);
    await vi.runAllTimersAsync();
    await answer;
    expect(through.seen.begun.map(({ at }) => at)).toEqual([0, 0, 0, 100, 100, 100]);
  });

  it("tells its progress now and then, and the end", async () => {
    const notes: unknown[] = [];
    const onProgress = (note: unknown): void => void notes.push(note);
    const given = { tool: "up__do", items: items(10), maxConcurrent: 1 };
    const answer = run(taking(40), given, { onProgress });
    await vi.runAllTimersAsync();
    await answer;
    expect(notes).toEqual([1, 4, 7, 10].map((progress) => ({ progress, total: 10 })));
  });

  it("stops at once when it is cancelled, with those under way, and begins no more", async () => {
    const signal = new Cancel();
    const stopped: unknown[] = [];
    const through = door(
      ({ n }, from) =>
        new Promise((_, reject) =>
          from.signal.subscribe((reason) => {
            stopped.push(n);
            reject(reason);
          }),
        ),
    );
    const outcome = outcomeOf(run(through, { tool: "up__do", items: items(300) }, { signal }));
    await vi.advanceTimersByTimeAsync(10);
    signal.cancel(cancelled("enough"));
    expect(await outcome).toMatchObject({ code: "cancelled", message: "enough" });
    await vi.runAllTimersAsync();
    expect(stopped).toEqual([0, 1, 2, 3, 4]);
    expect(through.seen.begun).toHaveLength(5);
  });

  it("leaves its wait for the next turn at once when it is cancelled", async () => {
    const signal = new Cancel();
    const through = taking(1);
    const given = { tool: "up__do", items: items(10), requestsPerSecond: 0.1 };
    const outcome = outcomeOf(run(through, given, { signal }));
    await vi.advanceTimersByTimeAsync(10);
    signal.cancel(cancelled("enough"));
    expect(await outcome).toMatchObject({ code: "cancelled" });
    await vi.advanceTimersByTimeAsync(1);
    expect(vi.getTimerCount()).toBe(0);
    expect(through.seen.begun).toHaveLength(1);
  });

  it("calls on behalf of its caller", async () => {
    const callers: unknown[] = [];
    const through = door((_, { caller }) => {
      callers.push(caller);
      return Promise.resolve(ok());
    });
    await run(through, { tool: "up__do", items: items(1) });
    expect(callers).toEqual([call().caller]);
  });

  it("has nothing to do for no items", async () => {
    const answer = await run(taking(0), { tool: "up__do", items: [] });
    expect(answer).toEqual({ results: [], done: 0, failed: 0 });
  });

  it.each([
    [{ items: [] }, "arguments.tool: expected string, got nothing"],
    [
      { tool: "holdfast__batch", items: [] },
      'arguments.tool: expected a tool that is listed and runs no others, got "holdfast__batch"',
    ],
    [{ tool: "up__do", items: {} }, "arguments.items: expected array, got an object"],
    [{ tool: "up__do", items: [{}, 3] }, "arguments.items[1]: expected record, got 3"],
    [
      { tool: "up__do", items: items(10_001) },
      "arguments.items: expected array to have <=10000 items, got a list",
    ],
    [
      { tool: "up__do", items: [], maxConcurrent: 65 },
      "arguments.maxConcurrent: expected number to be <=64, got 65",
    ],
    [
      { tool: "up__do", items: Array.from({ length: 9 }, () => 1) },
      "arguments.items[0]: expected record, got 1; arguments.items[1]: expected record, got 1; arguments.items[2]: expected record, got 1; and 6 more",
    ],
  ])("says what is wrong with its arguments, and calls nothing", async (given, message) => {
    const through = taking(1);
    expect(await outcomeOf(run(through, given))).toMatchObject({ outcome: "answered", message });
    expect(through.seen.begun).toEqual([]);
  });
});
