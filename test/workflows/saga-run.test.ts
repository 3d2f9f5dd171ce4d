import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { CallError, cancelled, disconnected } from "../../src/errors.ts";
import { StoreFailed } from "../../src/workflows/run-store.ts";
import { sleep } from "../../src/time.ts";
import { outcomeOf } from "../support/calls.ts";
import { anna, gatewayOn, request, wait } from "../support/gateways.ts";
import { RunShelf } from "../support/memory-run-store.ts";
import { lost, no, refused, type Answer, type Scripted } from "../support/workflows.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const step = (id: string, over: object = {}): JsonObject => ({
  id,
  tool: `do_${id}`,
  arguments: { id, key: "${{ step.key }}" },
  compensate: {
    tool: `undo_${id}`,
    arguments: {
      sent: "${{ arguments.id }}",
      got: "${{ result }}",
      key: "${{ step.key }}",
    },
  },
  ...over,
});

/** A tool for each step, and one that undoes it; `over` says otherwise. */
function toolsFor(ids: string, over: Record<string, Scripted> = {}): Record<string, Scripted> {
  const usual = Array.from(ids).flatMap((id): [string, Scripted][] => [
    [`do_${id}`, { answer: () => ({ done: id }) }],
    [`undo_${id}`, { effect: "idempotent" }],
  ]);
  return { ...Object.fromEntries(usual), ...over };
}

const say =
  (...answers: unknown[]): Answer =>
  (_, __, nth) =>
    answers[Math.min(nth, answers.length) - 1];
const failing: Scripted = { answer: () => no("out of stock") };
const slow = (ms: number, value?: unknown): Scripted => ({
  answer: () => sleep(ms).then(() => value),
});

interface Setting {
  readonly tools?: Record<string, Scripted>;
  readonly definition?: JsonObject;
  readonly shelf?: RunShelf;
}

function setUp(
  steps: JsonObject[],
  { tools = {}, definition = {}, shelf = new RunShelf() }: Setting,
) {
  const gateway = gatewayOn(shelf, tools);
  const written = { steps, ...definition };
  const begin = (over = {}, waiting = wait()) =>
    outcomeOf(gateway.runs.start(request(written, over), waiting)) as Promise<JsonObject>;
  return { ...gateway, shelf, begin, id: () => shelf.runs[0]?.id ?? "" };
}

async function settled<Value>(promise: Promise<Value>, ms = 600_000): Promise<Value> {
  let isSettled = false;
  void promise.finally(() => (isSettled = true)).catch(() => {});
  for (let gone = 0; !isSettled && gone < ms; gone += 250) await vi.advanceTimersByTimeAsync(250);
  return promise;
}

async function run(steps: JsonObject[], setting: Setting = {}) {
  const made = setUp(steps, setting);
  return { ...made, view: await settled(made.begin()) };
}

const undos = (calls: string[]): string[] => calls.filter((name) => name.startsWith("undo_"));

describe("a saga", () => {
  it("does its steps and ends with the output", async () => {
    const { view, calls } = await run([step("a"), step("b")], {
      tools: toolsFor("ab"),
      definition: { output: "${{ steps.b.result.done }}" },
    });
    expect(view).toMatchObject({ state: "completed", output: "b", kind: "saga", name: "order" });
    expect(calls()).toEqual(["do_a", "do_b"]);
  });

  it("undoes what was done, the last first, with the arguments, result and key of each", async () => {
    const { view, of, calls, id } = await run([step("a"), step("b"), step("c")], {
      tools: toolsFor("abc", { do_c: failing }),
    });
    expect(calls()).toEqual(["do_a", "do_b", "do_c", "undo_b", "undo_a"]);
    expect(of("undo_a")).toMatchObject([
      { args: { sent: "a", got: { done: "a" }, key: `${id()}.a.undo` }, key: `${id()}.a.undo` },
    ]);
    expect(of("do_b")).toMatchObject([{ args: { id: "b", key: `${id()}.b` }, key: `${id()}.b` }]);
    expect(view).toMatchObject({
      state: "compensated",
      error: { step: "c", tool: "do_c", message: "out of stock", outcome: "answered" },
      steps: [{ state: "undone" }, { state: "undone" }, { state: "failed" }],
    });
  });

  it("undoes parallel steps in the reverse of the order in which they ended", async () => {
    const parallel = { id: "p", parallel: [step("a"), step("b"), step("c")] };
    const { calls } = await run([parallel, step("d")], {
      tools: toolsFor("abcd", {
        do_a: slow(30),
        do_b: slow(10),
        do_c: slow(20),
        do_d: failing,
      }),
    });
    expect(undos(calls())).toEqual(["undo_a", "undo_c", "undo_b"]);
  });

  it("undoes each element of a loop with what was sent for it", async () => {
    const loop = step("a", { arguments: { id: "${{ item }}" }, forEach: { in: [1, 2, 3] } });
    const { of, view } = await run([loop, step("b")], { tools: toolsFor("ab", { do_b: failing }) });
    expect(of("undo_a").map(({ args }) => args["sent"])).toEqual([3, 2, 1]);
    expect(view["state"]).toBe("compensated");
  });

  it("undoes nothing where there is nothing to undo", async () => {
    const { view, calls } = await run([step("a", { compensate: false }), step("b")], {
      tools: toolsFor("ab", { do_b: failing }),
    });
    expect(view["state"]).toBe("compensated");
    expect(undos(calls())).toEqual([]);
  });

  it("goes on where onError says so, and undoes nothing", async () => {
    const { view } = await run([step("a", { onError: { action: "continue" } }), step("b")], {
      tools: toolsFor("ab", { do_a: failing }),
    });
    expect(view).toMatchObject({ state: "completed" });
  });

  it("is completed where only its answer cannot be made", async () => {
    const { view } = await run([step("a")], {
      tools: toolsFor("a"),
      definition: { output: "${{ steps.a.result.gone }}" },
    });
    expect(view).toMatchObject({ state: "completed", output: null });
    expect(view["problem"]).toMatch(/no key "gone"/);
  });

  it("is undone where a step of the id output fails", async () => {
    const { view } = await run([step("a"), step("b", { id: "output" })], {
      tools: toolsFor("ab", { do_b: failing }),
    });
    expect(view["state"]).toBe("compensated");
  });

  it("lets writes under way finish where another step fails, and undoes them, too", async () => {
    const steps = [{ id: "p", parallel: [step("a"), step("b")] }];
    const { calls, view } = await run(steps, {
      tools: toolsFor("ab", { do_a: failing, do_b: slow(500) }),
    });
    expect(calls()).toEqual(["do_a", "do_b", "undo_b"]);
    expect(view["state"]).toBe("compensated");
  });

  it("cuts reads under way short where another step fails", async () => {
    const steps = [{ id: "p", parallel: [step("a"), step("b", { compensate: false })] }];
    const reading: Answer = (_, { request: { signal } }) =>
      new Promise((_resolve, reject) => signal.subscribe(reject));
    const { view } = await run(steps, {
      tools: toolsFor("ab", {
        do_a: { answer: () => sleep(10).then(() => no("out of stock")) },
        do_b: { effect: "read", answer: reading },
      }),
    });
    expect(view).toMatchObject({ state: "compensated", error: { step: "a" } });
  });
});

describe("a compensation that fails", () => {
  it("is tried three times with growing pauses, is recorded, and the rest is undone", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    const { view, of, calls } = await run([step("a"), step("b"), step("c")], {
      tools: toolsFor("abc", { do_c: failing, undo_b: { answer: () => no("no such order") } }),
    });
    const [first = 0, ...others] = of("undo_b").map(({ at }) => Math.round(at));
    expect(others.map((at) => at - first)).toEqual([200, 600]);
    expect(calls().at(-1)).toBe("undo_a");
    expect(view).toMatchObject({
      state: "stuck",
      reason: "undo_failed",
      error: { step: "c" },
      open: [{ step: "undo:b", tool: "undo_b", problem: "no such order" }],
      steps: [{ state: "undone" }, { state: "undo_failed", undoError: "no such order" }, {}],
    });
    vi.restoreAllMocks();
  });

  it("is all that is tried again when the run is resumed", async () => {
    const undo_b: Scripted = { answer: (_, __, nth) => (nth <= 3 ? lost() : { ok: true }) };
    const made = await run([step("a"), step("b"), step("c")], {
      tools: toolsFor("abc", { do_c: failing, undo_b }),
    });
    expect(made.view["state"]).toBe("stuck");
    const before = made.calls().length;
    const view = await settled(made.runs.resume(made.id(), anna, wait()));
    expect(view).toMatchObject({ state: "compensated", error: { step: "c" } });
    expect(made.calls().slice(before)).toEqual(["undo_b"]);
    expect(new Set(made.of("undo_b").map(({ key }) => key)).size).toBe(1);
  });

  it.each([
    [true, "compensated", 0],
    [false, "compensated", 1],
  ])("can be settled by a person: happened %s", async (happened, state, calls) => {
    const undo_b: Scripted = { answer: (_, __, nth) => (nth <= 3 ? lost() : { ok: true }) };
    const made = await run([step("b"), step("c")], {
      tools: toolsFor("bc", { do_c: failing, undo_b }),
    });
    const before = made.calls().length;
    await vi.advanceTimersByTimeAsync(1000);
    const view = await settled(made.runs.resolve(made.id(), { happened }, anna, wait()));
    expect(view?.["state"]).toBe(state);
    expect(made.calls().length - before).toBe(calls);
  });

  it("whose arguments cannot be made is stuck, and the rest is undone", async () => {
    const bad = { tool: "undo_b", arguments: { id: "${{ result.gone }}" } };
    const { view, calls } = await run([step("a"), step("b", { compensate: bad }), step("c")], {
      tools: toolsFor("abc", { do_c: failing }),
    });
    expect(view).toMatchObject({ state: "stuck", open: [{ step: "undo:b" }] });
    expect(undos(calls())).toEqual(["undo_a"]);
  });
});

describe("a step of which nobody knows whether it happened", () => {
  const verify = {
    tool: "look",
    arguments: { key: "${{ step.key }}", id: "${{ arguments.id }}" },
    happened: "result.happened",
  };
  const look = (...answers: unknown[]): Scripted => ({ effect: "read", answer: say(...answers) });
  const doubtful = { do_a: { answer: say(lost(), { done: "a" }) } };

  it("leaves a write stuck, and nothing is undone", async () => {
    const { view, calls } = await run([step("z"), step("a"), step("b")], {
      tools: toolsFor("zab", doubtful),
    });
    expect(view).toMatchObject({
      state: "stuck",
      reason: "unknown",
      open: [{ step: "a", tool: "do_a", problem: "gone", arguments: { id: "a" } }],
    });
    expect(calls()).toEqual(["do_z", "do_a"]);
  });

  it("goes on where a look shows that it happened, with the result that is made of the answer", async () => {
    const found = { ...verify, result: { done: "${{ result.name }}" } };
    const { view, of, id } = await run([step("a", { verify: found }), step("b")], {
      tools: toolsFor("ab", {
        ...doubtful,
        look: look({ happened: true, name: "x" }),
        do_b: failing,
      }),
    });
    expect(view["state"]).toBe("compensated");
    expect(of("do_a")).toHaveLength(1);
    expect(of("look")).toMatchObject([
      { args: { key: `${id()}.a`, id: "a" }, request: { fresh: true } },
    ]);
    expect(of("undo_a")).toMatchObject([{ args: { sent: "a", got: { done: "x" } } }]);
  });

  it("fails where a look shows that it did not happen", async () => {
    const { view, of } = await run([step("z"), step("a", { verify }), step("b")], {
      tools: toolsFor("zab", { ...doubtful, look: look({ happened: false }) }),
    });
    expect(view).toMatchObject({ state: "compensated", error: { step: "a", outcome: "failed" } });
    expect([of("do_a").length, of("undo_a").length, of("undo_z").length]).toEqual([1, 0, 1]);
  });

  it("is done again where a look shows that it did not happen, and it may be", async () => {
    const { view, of } = await run([step("a", { verify, retry: { maxAttempts: 2 } })], {
      tools: toolsFor("a", { ...doubtful, look: look({ happened: false }) }),
    });
    expect(view["state"]).toBe("completed");
    expect(of("do_a").map(({ key }) => key)).toEqual([of("do_a")[0]?.key, of("do_a")[0]?.key]);
  });

  it("is asked for again where the answer says nothing, with pauses, and then is stuck", async () => {
    const slowly = { ...verify, delayMs: 5000, attempts: 4 };
    const answers = [{}, lost(), no("what"), { happened: "yes" }];
    const { view, of } = await run([step("a", { verify: slowly })], {
      tools: toolsFor("a", { ...doubtful, look: look(...answers) }),
    });
    expect(view).toMatchObject({ state: "stuck", reason: "unknown", open: [{ step: "a" }] });
    const times = of("look").map(({ at }) => Math.round(at - (of("do_a")[0]?.at ?? 0)));
    expect(times).toEqual([5000, 10_000, 15_000, 20_000]);
  });

  it("is stuck where the question cannot even be made, whatever onError says", async () => {
    const bad = { ...verify, arguments: { id: "${{ arguments.id.gone }}" } };
    const over = { verify: bad, onError: { action: "continue" } };
    const { view } = await run([step("a", over), step("b")], {
      tools: toolsFor("ab", { ...doubtful, look: look({ happened: true }) }),
    });
    expect(view).toMatchObject({ state: "stuck", open: [{ step: "a" }] });
  });

  it("is done again where its tool is idempotent, with the same key", async () => {
    const { view, of } = await run([step("a"), step("b")], {
      tools: toolsFor("ab", { do_a: { effect: "idempotent", answer: say(lost(), lost(), {}) } }),
    });
    expect(view["state"]).toBe("completed");
    expect(
      new Set(of("do_a").map(({ key, args }) => `${String(key)} ${JSON.stringify(args)}`)).size,
    ).toBe(1);
    expect(of("do_a")).toHaveLength(3);
  });

  it("stays unknown where an idempotent tool says no later", async () => {
    const { view } = await run([step("a")], {
      tools: toolsFor("a", { do_a: { effect: "idempotent", answer: say(lost(), no("exists")) } }),
    });
    expect(view).toMatchObject({ state: "stuck", reason: "unknown" });
  });

  it("is undone as if it had happened where compensate is wanted", async () => {
    const undo = { tool: "undo_a", arguments: { sent: "${{ arguments.id }}" } };
    const { view, calls } = await run(
      [step("z"), step("a", { onUnknown: "compensate", compensate: undo })],
      { tools: toolsFor("za", doubtful) },
    );
    expect(view["state"]).toBe("compensated");
    expect(calls()).toEqual(["do_z", "do_a", "undo_a", "undo_z"]);
  });

  it("is stuck where stop is wanted, though it could be asked for or done again", async () => {
    const { view, of } = await run([step("a", { verify, onUnknown: "stop" })], {
      tools: toolsFor("a", {
        do_a: { effect: "idempotent", answer: say(lost()) },
        look: look({ happened: true }),
      }),
    });
    expect(view["state"]).toBe("stuck");
    expect(of("look")).toEqual([]);
  });

  it("is settled by a person: it happened, with a result", async () => {
    const made = await run(
      [step("a"), step("b", { arguments: { id: "b", v: "${{ steps.a.result.v }}" } })],
      {
        tools: toolsFor("ab", doubtful),
      },
    );
    await vi.advanceTimersByTimeAsync(1000);
    const word = { happened: true, result: { v: 7 } };
    const view = await settled(made.runs.resolve(made.id(), word, anna, wait()));
    expect(view).toMatchObject({ state: "completed" });
    expect(made.of("do_b")).toMatchObject([{ args: { v: 7 } }]);
    expect(made.of("do_a")).toHaveLength(1);
  });

  it("is settled by a person: it did not happen", async () => {
    const made = await run([step("z"), step("a")], { tools: toolsFor("za", doubtful) });
    await vi.advanceTimersByTimeAsync(1000);
    const view = await settled(made.runs.resolve(made.id(), { happened: false }, anna, wait()));
    expect(view).toMatchObject({ state: "compensated", error: { step: "a" } });
    expect(made.calls()).toEqual(["do_z", "do_a", "undo_z"]);
  });

  it("is not settled by a word about another step, or about one of several", async () => {
    const made = await run([{ id: "p", parallel: [step("a"), step("b")] }], {
      tools: toolsFor("ab", { ...doubtful, do_b: { answer: () => sleep(10).then(lost) } }),
    });
    const open = (made.view["open"] as { step: string }[]).map((one) => one.step);
    expect(open).toEqual(["a", "b"]);
    for (const word of [{ happened: true }, { happened: true, step: "z" }])
      expect(await outcomeOf(made.runs.resolve(made.id(), word, anna, wait()))).toMatchObject({
        message: expect.stringMatching(/^expected step to be one of a, b/),
      });
  });

  it("is still settled where the run is taken back after a crash", async () => {
    const shelf = new RunShelf();
    const tools = toolsFor("zab", { do_a: { answer: () => sleep(1e9) } });
    const first = setUp([step("z"), step("a"), step("b")], { tools, shelf });
    void first.begin();
    await vi.advanceTimersByTimeAsync(1000);
    first.store.isDead = true;
    const second = gatewayOn(shelf, tools);
    await second.store.command(first.id(), { type: "cancel" });
    await settled(second.runs.recover());
    await vi.advanceTimersByTimeAsync(1000);
    expect(await second.runs.get(first.id(), anna)).toMatchObject({
      state: "stuck",
      reason: "unknown",
      open: [{ step: "a" }],
    });
    expect(second.calls()).toEqual([]);
  });

  it("is settled though a step beside it has failed before the crash", async () => {
    const shelf = new RunShelf();
    const branch = { id: "g", steps: [step("a"), step("b")] };
    const tools = toolsFor("abc", {
      do_b: { answer: () => sleep(1e9) },
      do_c: { answer: () => sleep(100).then(() => no("out of stock")) },
    });
    const first = setUp([{ id: "p", parallel: [branch, step("c")] }], { tools, shelf });
    void first.begin();
    await vi.advanceTimersByTimeAsync(1000);
    first.store.isDead = true;
    const second = gatewayOn(shelf, tools);
    await settled(second.runs.recover());
    await vi.advanceTimersByTimeAsync(1000);
    expect(await second.runs.get(first.id(), anna)).toMatchObject({
      state: "stuck",
      open: [{ step: "b" }],
    });
    expect(second.calls()).toEqual([]);
  });
});

describe("the pivot", () => {
  const pivot = (over: object = {}): JsonObject => ({
    id: "p",
    tool: "do_p",
    pivot: true,
    ...over,
  });
  const late = (id: string, over: object = {}): JsonObject => ({ id, tool: `do_${id}`, ...over });
  const verify = { tool: "look", happened: "result.happened" };

  it("that fails has all before it undone", async () => {
    const { view, calls } = await run([step("a"), pivot(), late("b")], {
      tools: toolsFor("apb", { do_p: failing }),
    });
    expect(view["state"]).toBe("compensated");
    expect(calls()).toEqual(["do_a", "do_p", "undo_a"]);
  });

  it.each([
    [true, "completed", ["do_a", "do_p", "look", "do_b"]],
    [false, "compensated", ["do_a", "do_p", "look", "undo_a"]],
    [null, "stuck", ["do_a", "do_p", "look", "look", "look"]],
  ])("of unknown outcome is looked for: %s", async (happened, state, wanted) => {
    const look: Scripted = { effect: "read", answer: () => ({ happened }) };
    const { view, calls } = await run([step("a"), pivot({ verify }), late("b")], {
      tools: toolsFor("apb", { do_p: { answer: lost }, look }),
    });
    expect([view["state"], calls()]).toEqual([state, wanted]);
  });

  it.each(["write", "idempotent"] as const)("of unknown outcome, %s, is stuck", async (effect) => {
    const { view, calls } = await run([step("a"), pivot(), late("b")], {
      tools: toolsFor("apb", { do_p: { effect, answer: lost } }),
    });
    expect(view).toMatchObject({ state: "stuck", reason: "unknown" });
    expect(calls()).toEqual(["do_a", "do_p"]);
  });

  it("has what comes after it tried again where that may help", async () => {
    const { view, of } = await run([pivot(), late("b")], {
      tools: toolsFor("pb", { do_b: { answer: say(refused(), refused(), {}) } }),
    });
    expect(view["state"]).toBe("completed");
    expect(of("do_b")).toHaveLength(3);
  });

  it("has the run stuck where a later step fails for good, and undoes nothing", async () => {
    const made = await run([step("a"), pivot(), late("b")], {
      tools: toolsFor("apb", { do_b: { answer: say(no("out of stock"), { ok: true }) } }),
    });
    expect(made.view).toMatchObject({
      state: "stuck",
      reason: "after_pivot",
      open: [{ step: "b", problem: "out of stock" }],
    });
    expect(undos(made.calls())).toEqual([]);
    const view = await settled(made.runs.resume(made.id(), anna, wait()));
    expect(view?.["state"]).toBe("completed");
    expect(made.calls()).toEqual(["do_a", "do_p", "do_b", "do_b"]);
  });

  it("lets a person do by hand what fails for good after it", async () => {
    const made = await run(
      [pivot(), late("b"), late("c", { arguments: { v: "${{ steps.b.result }}" } })],
      {
        tools: toolsFor("pbc", { do_b: failing }),
      },
    );
    await vi.advanceTimersByTimeAsync(1000);
    const word = { happened: true, result: 5 };
    const view = await settled(made.runs.resolve(made.id(), word, anna, wait()));
    expect(view?.["state"]).toBe("completed");
    expect(made.of("do_b")).toHaveLength(1);
    expect(made.of("do_c")).toMatchObject([{ args: { v: 5 } }]);
  });

  it("lets a person say what a step comes to whose own condition cannot be evaluated after it", async () => {
    const broken = late("b", { when: "input.gone" });
    const made = await run(
      [pivot(), broken, late("c", { arguments: { v: "${{ steps.b.result }}" } })],
      {
        tools: toolsFor("pbc"),
      },
    );
    expect(made.view).toMatchObject({ reason: "after_pivot", open: [{ step: "b" }] });
    const word = { happened: true, result: 7 };
    const view = await settled(made.runs.resolve(made.id(), word, anna, wait()));
    expect(view?.["state"]).toBe("completed");
    expect(made.of("do_c")).toMatchObject([{ args: { v: 7 } }]);
  });

  it("lets a person do by hand what could not even be begun after it", async () => {
    const made = await run([pivot(), late("b", { arguments: { v: "${{ input.gone }}" } })], {
      tools: toolsFor("pb"),
    });
    expect(made.view).toMatchObject({
      state: "stuck",
      reason: "after_pivot",
      open: [{ step: "b" }],
    });
    const view = await settled(made.runs.resolve(made.id(), { happened: true }, anna, wait()));
    expect(view?.["state"]).toBe("completed");
  });

  it("has a cancel refused once it was begun", async () => {
    const made = setUp([step("a"), pivot(), late("b")], {
      tools: toolsFor("apb", { do_p: slow(1000), do_b: slow(1000) }),
    });
    const end = made.begin();
    for (const ms of [500, 1000]) {
      await vi.advanceTimersByTimeAsync(ms);
      const refusal = await outcomeOf(made.runs.cancel(made.id(), anna, wait()));
      expect(refusal).toMatchObject({ message: expect.stringMatching(/past its pivot/) });
    }
    expect((await settled(end))["state"]).toBe("completed");
  });

  it("that begins while a cancel is written down counts, or the cancel does, never both", async () => {
    for (let turns = 0; turns < 12; turns++) {
      const made = setUp([step("a"), pivot(), late("b")], {
        tools: toolsFor("apb", { do_a: slow(100) }),
      });
      const end = made.begin();
      await vi.advanceTimersByTimeAsync(99);
      const before = sleep(1).then(async () => {
        for (let turn = 0; turn < turns; turn++) await Promise.resolve();
        return made.runs.cancel(made.id(), anna, wait());
      });
      const taken = outcomeOf(before);
      const { state } = (await settled(end)) as { state: string };
      await taken;
      expect(["completed", "compensated"]).toContain(state);
      expect(made.calls().includes("do_p")).toBe(state === "completed");
    }
  });

  it("of unknown outcome at a crash is not taken back by a cancel", async () => {
    const shelf = new RunShelf();
    const tools = toolsFor("apb", { do_p: { answer: () => sleep(1e9) } });
    const first = setUp([step("a"), pivot(), late("b")], { tools, shelf });
    void first.begin();
    await vi.advanceTimersByTimeAsync(1000);
    first.store.isDead = true;
    const second = gatewayOn(shelf, tools);
    await second.store.command(first.id(), { type: "cancel" });
    await settled(second.runs.recover());
    await vi.advanceTimersByTimeAsync(1000);
    expect(await second.runs.get(first.id(), anna)).toMatchObject({
      state: "stuck",
      open: [{ step: "p" }],
    });
    expect(undos(second.calls())).toEqual([]);
  });
});

describe("a saga that is taken back", () => {
  it("lets the write under way finish, and undoes it with the rest", async () => {
    const made = setUp([step("a"), step("b"), step("c")], {
      tools: toolsFor("abc", { do_b: slow(1000, { done: "late" }) }),
    });
    const end = made.begin();
    await vi.advanceTimersByTimeAsync(500);
    const view = await settled(made.runs.cancel(made.id(), anna, wait()));
    expect(view).toMatchObject({ state: "compensated", error: { code: "cancelled" } });
    expect((await settled(end))["state"]).toBe("compensated");
    expect(made.calls()).toEqual(["do_a", "do_b", "undo_b", "undo_a"]);
    expect(made.of("undo_b")).toMatchObject([{ args: { got: { done: "late" } } }]);
  });

  it("is undone where its caller takes the call back", async () => {
    const made = setUp([step("a"), step("b")], { tools: toolsFor("ab", { do_a: slow(1000) }) });
    const signal = new Cancel();
    const end = made.begin({}, wait(60_000, signal));
    await vi.advanceTimersByTimeAsync(500);
    signal.cancel(cancelled("not wanted"));
    // It is not undone yet, and past its pivot it would not be.
    expect(await settled(end)).toMatchObject({ message: "not wanted", outcome: "unknown" });
    await vi.advanceTimersByTimeAsync(2000);
    expect(await made.runs.get(made.id(), anna)).toMatchObject({ state: "compensated" });
  });

  it("goes on where its caller has only gone", async () => {
    const made = setUp([step("a"), step("b")], { tools: toolsFor("ab", { do_a: slow(1000) }) });
    const signal = new Cancel();
    const end = made.begin({}, wait(60_000, signal));
    await vi.advanceTimersByTimeAsync(500);
    signal.cancel(disconnected);
    expect(await settled(end)).toBe(disconnected);
    await vi.advanceTimersByTimeAsync(2000);
    expect(await made.runs.get(made.id(), anna)).toMatchObject({ state: "completed" });
  });

  it("has no compensation cut short by its caller", async () => {
    const made = setUp([step("a"), step("b")], {
      tools: toolsFor("ab", { do_b: failing, undo_a: { ...slow(1000), effect: "idempotent" } }),
    });
    const signal = new Cancel();
    const end = made.begin({}, wait(60_000, signal));
    await vi.advanceTimersByTimeAsync(500);
    signal.cancel(cancelled("not wanted"));
    await settled(end);
    expect(made.of("undo_a")[0]?.request.signal.reason).toBeUndefined();
    await vi.advanceTimersByTimeAsync(2000);
    expect(await made.runs.get(made.id(), anna)).toMatchObject({ state: "compensated" });
    expect(made.of("undo_a")).toHaveLength(1);
  });

  it.each(["completed", "compensated", "stuck"])("is refused when it is %s", async (state) => {
    const do_a = { completed: {}, compensated: failing, stuck: { answer: lost } }[
      state
    ] as Scripted;
    const made = await run([step("a")], { tools: toolsFor("a", { do_a }) });
    expect(made.view["state"]).toBe(state);
    const refusal = await outcomeOf(made.runs.cancel(made.id(), anna, wait()));
    expect(refusal).toMatchObject({ code: "denied", message: expect.stringContaining(state) });
  });
});

describe("runs of one process", () => {
  it("answer with a run that is under way when the time to wait is over", async () => {
    const made = setUp([step("a")], { tools: toolsFor("a", { do_a: slow(5000) }) });
    const view = await settled(made.begin({}, wait(1000)));
    expect(view).toMatchObject({ state: "running", steps: [{ step: "a", state: "running" }] });
    await vi.advanceTimersByTimeAsync(5000);
    expect(await made.runs.get(made.id(), anna)).toMatchObject({ state: "completed" });
  });

  it("give the same run to who asks with the same key", async () => {
    const made = setUp([step("a")], { tools: toolsFor("a", { do_a: slow(1000, { v: 1 }) }) });
    const both = Promise.all([made.begin({ key: "k" }), made.begin({ key: "k" })]);
    const [one, two] = await settled(both);
    expect(one["id"]).toBe(two["id"]);
    expect(await settled(made.begin({ key: "k" }))).toMatchObject({
      id: one["id"],
      output: { v: 1 },
    });
    expect(made.calls()).toEqual(["do_a"]);
  });

  it("are not given to who asks with their key for something else", async () => {
    const made = await run([step("a")], { tools: toolsFor("a") });
    await settled(made.begin({ key: "k", input: { of: 1 } }));
    const other = await settled(made.begin({ key: "k", input: { of: 2 } }));
    expect(other).toMatchObject({ message: expect.stringContaining("which has another input") });
    expect(made.calls()).toEqual(["do_a", "do_a"]);
  });

  it("are seen, and touched, by their own principal alone", async () => {
    const made = await run([step("a")], { tools: toolsFor("a", { do_a: { answer: lost } }) });
    const bert = { ...anna, principal: "bert" };
    const { runs, id } = made;
    expect(await runs.get(id(), bert)).toBeUndefined();
    expect(await runs.list({}, bert)).toEqual([]);
    expect(await runs.cancel(id(), bert, wait())).toBeUndefined();
    expect(await runs.resume(id(), bert, wait())).toBeUndefined();
    expect(await runs.resolve(id(), { happened: true }, bert, wait())).toBeUndefined();
    expect(await runs.list({ state: "stuck" }, anna)).toMatchObject([{ id: id(), state: "stuck" }]);
  });

  it("are left to others when the process leaves, once what is under way has ended", async () => {
    const shelf = new RunShelf();
    const tools = toolsFor("ab", { do_a: slow(1000) });
    const first = setUp([step("a"), step("b")], { tools, shelf });
    void first.begin();
    await vi.advanceTimersByTimeAsync(500);
    await settled(first.runs.leave());
    await first.runs.close();
    expect(first.calls()).toEqual(["do_a"]);
    const second = gatewayOn(shelf, tools);
    await settled(second.runs.recover());
    await vi.advanceTimersByTimeAsync(1000);
    expect(second.calls()).toEqual(["do_b"]);
    expect(shelf.runs).toMatchObject([{ state: "completed" }]);
  });

  it("wait for the disk to take what a call came to", async () => {
    const made = setUp([step("a"), step("b")], { tools: toolsFor("ab", { do_a: slow(100) }) });
    const end = made.begin();
    await vi.advanceTimersByTimeAsync(50);
    made.store.failures.push(new StoreFailed("full"), new StoreFailed("full"));
    expect((await settled(end))["state"]).toBe("completed");
    expect(made.calls()).toEqual(["do_a", "do_b"]);
  });

  it.each([
    [false, "failed"],
    [true, "unknown"],
  ])(
    "do nothing that the store has not taken: in doubt %s, it has %s",
    async (isInDoubt, outcome) => {
      const made = setUp([step("a")], { tools: toolsFor("a") });
      vi.spyOn(made.store, "begin").mockRejectedValue(new StoreFailed("locked", { isInDoubt }));
      const end = made.begin();
      expect(await settled(end)).toMatchObject({ code: "unavailable", outcome, message: "locked" });
      expect(made.calls()).toEqual([]);
    },
  );

  it("send nothing once another step has failed, also where that was about to be sent", async () => {
    const parallel = { id: "p", parallel: [step("a"), step("b")] };
    const made = setUp([parallel], { tools: toolsFor("ab", { do_a: failing }) });
    const intend = made.store.intend.bind(made.store);
    vi.spyOn(made.store, "intend").mockImplementation(async (id, name, intent) => {
      if (name === "b") await sleep(100);
      return intend(id, name, intent);
    });
    expect(await settled(made.begin())).toMatchObject({ state: "compensated" });
    expect(made.calls()).toEqual(["do_a"]);
  });

  it("are done by nobody who has lost them", async () => {
    const made = setUp([step("a"), step("b")], { tools: toolsFor("ab", { do_a: slow(100) }) });
    const end = made.begin({}, wait(1000));
    await vi.advanceTimersByTimeAsync(50);
    const [row] = made.shelf.rows.values();
    if (row !== undefined) row.owner = undefined;
    await settled(end);
    expect(made.calls()).toEqual(["do_a"]);
  });
});

describe("a run whose tools are not what they were", () => {
  const crashed = async (tools: Record<string, Scripted>) => {
    const shelf = new RunShelf();
    const made = setUp([step("a"), step("b")], {
      tools: { ...tools, do_a: { answer: () => sleep(1e9) } },
      shelf,
    });
    void made.begin();
    await vi.advanceTimersByTimeAsync(10);
    made.store.isDead = true;
    return { shelf, id: made.id() };
  };

  it("keeps no other run waiting until all servers are known", async () => {
    const shelf = new RunShelf();
    const dead = gatewayOn(shelf, toolsFor("ab", { do_a: slow(1e9), do_b: slow(1e9) }));
    for (const id of ["a", "b"]) void dead.runs.start(request({ steps: [step(id)] }), wait());
    await vi.advanceTimersByTimeAsync(10);
    dead.store.isDead = true;
    const tools = toolsFor("b", { do_b: { effect: "idempotent" } });
    const second = gatewayOn(shelf, tools, undefined, () => sleep(5000));
    void second.runs.recover();
    await vi.advanceTimersByTimeAsync(1000);
    expect(second.calls()).toEqual(["do_b"]);
    await vi.advanceTimersByTimeAsync(5000);
    expect(shelf.runs.map(({ state }) => state).toSorted()).toEqual(["completed", "stuck"]);
  });

  it("is stuck while one is missing, and goes on when it is back", async () => {
    const tools = toolsFor("ab", { do_a: { effect: "idempotent" } });
    const { shelf, id } = await crashed(tools);
    const there: Record<string, Scripted> = { ...tools };
    delete there["do_b"];
    const second = gatewayOn(shelf, there);
    await settled(second.runs.recover());
    expect(await second.runs.get(id, anna)).toMatchObject({
      state: "stuck",
      reason: "missing",
      missing: ["the tool do_b is not there"],
    });
    there["do_b"] = {};
    await vi.advanceTimersByTimeAsync(40_000);
    expect(await second.runs.get(id, anna)).toMatchObject({ state: "completed" });
  });

  it("is stuck while one is another one, until somebody accepts it", async () => {
    const tools = toolsFor("ab", { do_a: { effect: "idempotent" } });
    const { shelf, id } = await crashed(tools);
    for (const row of shelf.rows.values())
      row.run = { ...row.run, tools: { ...row.run.tools, do_b: "another" } };
    const second = gatewayOn(shelf, tools);
    await settled(second.runs.recover());
    await vi.advanceTimersByTimeAsync(40_000);
    const view = await second.runs.get(id, anna);
    expect(view).toMatchObject({ state: "stuck", reason: "missing" });
    expect(String(view?.["missing"])).toMatch(/do_b is of another server now/);
    const resumed = await settled(second.runs.resume(id, anna, wait()));
    expect(resumed).toMatchObject({ state: "completed" });
  });
});

describe("a result", () => {
  it("that is larger than a run can keep has the step undone, since it was done", async () => {
    const { view, of } = await run([step("a"), step("b")], {
      tools: toolsFor("ab", { do_a: { answer: () => ({ text: "x".repeat(5_000_000) }) } }),
    });
    expect(view).toMatchObject({ state: "compensated", error: { code: "too_large", step: "a" } });
    expect(of("undo_a")).toHaveLength(1);
  });

  it("that is too large after the pivot is gone without", async () => {
    const steps = [
      { id: "p", tool: "do_a", pivot: true },
      { id: "b", tool: "do_b", arguments: { v: "${{ steps.p.result }}" } },
    ];
    const { view, of } = await run(steps, {
      tools: toolsFor("ab", { do_a: { answer: () => ({ text: "x".repeat(5_000_000) }) } }),
    });
    expect(view["state"]).toBe("completed");
    expect(of("do_b")).toMatchObject([{ args: { v: null } }]);
  });

  it.each(["write", "idempotent"] as const)(
    "that is nested too deeply to be written of a tool that is %s was done all the same",
    async (effect) => {
      const text = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
      const answer: Answer = () => ({ content: [{ type: "text", text }] });
      const { view, of } = await run([step("a"), step("b")], {
        tools: toolsFor("ab", { do_a: { effect, answer } }),
      });
      expect(view).toMatchObject({ state: "completed" });
      expect([of("do_a").length, of("do_b").length]).toEqual([1, 1]);
    },
  );
});

describe("a chain", () => {
  it.each([
    ["read", "failed"],
    ["write", "unknown"],
  ] as const)(
    "does not doubt what only reads: a %s whose answer is late is %s",
    async (effect, state) => {
      const late = new CallError("timeout", "late", { outcome: "unknown" });
      const { runs } = gatewayOn(new RunShelf(), { do_a: { effect, answer: () => late } });
      const definition = { steps: [{ id: "a", tool: "do_a" }] };
      const view = await settled(runs.start(request(definition, {}, "chain"), wait()));
      expect(view).toMatchObject({ state: "failed", steps: [{ step: "a", state }] });
    },
  );
});

describe("a chain or saga as a step", () => {
  it.each([
    ["completed", { result: { id: "r", state: "completed" } }, "completed"],
    ["running", { isError: undefined, id: "r", state: "running" }, "stuck"],
  ])("that is %s", async (state, _, wanted) => {
    const answer: Answer = () => ({
      content: [{ type: "text", text: "it goes" }],
      structuredContent: { v: 1 },
      _meta: { "holdfast/run": { id: "r", state } },
    });
    const { view, of } = await run([step("a")], {
      tools: toolsFor("a", { do_a: { effect: "idempotent", answer } }),
    });
    expect(view["state"]).toBe(wanted);
    expect(new Set(of("do_a").map(({ key }) => key)).size).toBe(1);
  });

  it("that was compensated has failed, whatever its words sound like", async () => {
    const failure = { code: "upstream_error", outcome: "failed", message: "", attempts: 1 };
    const answer: Answer = () => ({
      ...no("The saga inner did not come through (step x: request timed out)."),
      _meta: { "holdfast/failure": failure, "holdfast/run": { id: "r", state: "compensated" } },
    });
    const { view, of } = await run([step("z"), step("a")], {
      tools: toolsFor("za", { do_a: { effect: "idempotent", answer } }),
    });
    expect(view).toMatchObject({ state: "compensated" });
    expect(of("do_a")).toHaveLength(1);
  });
});

describe("what policies of a call say", () => {
  it("a tool whose effect was found out to have happened is done", async () => {
    const done = new CallError("timeout", "late", { outcome: "done" });
    const { view, of } = await run([step("a"), step("b")], {
      tools: toolsFor("ab", { do_a: { answer: () => done }, do_b: failing }),
    });
    expect(view["state"]).toBe("compensated");
    expect(of("undo_a")).toMatchObject([{ args: { got: null } }]);
  });
});
