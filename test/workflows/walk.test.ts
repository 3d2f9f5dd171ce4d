import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Cancel } from "../../src/cancel.ts";
import { cancelled } from "../../src/errors.ts";
import { sleep } from "../../src/time.ts";
import { Halted, StepFailed, stepFailed } from "../../src/workflows/step-error.ts";
import { mostBegun, outputStep, walk, type Task } from "../../src/workflows/walk.ts";
import { outcomeOf } from "../support/calls.ts";
import { programOf } from "../support/workflows.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

type Turn = (args: Record<string, unknown>, task: Task) => unknown;

/** Takes as long as it is told, fails where it is told, and gives what it was given. */
const usual: Turn = async ({ ms = 0, fail, halt, ...rest }, { path, signal }) => {
  if (signal.reason !== undefined) throw stepFailed(path, "cancelled", signal.reason.message);
  await new Promise<void>((resolve, reject) => {
    signal.subscribe(({ message }) => reject(stepFailed(path, "cancelled", message)));
    void sleep(Number(ms)).then(resolve);
  });
  if (fail !== undefined) throw stepFailed(path, "upstream_error", fail as string);
  if (halt !== undefined) throw new Halted("stuck", halt as string);
  return rest;
};

interface Setting {
  readonly output?: unknown;
  readonly input?: Record<string, unknown>;
  readonly event?: unknown;
  readonly signal?: Cancel;
  readonly turn?: Turn;
}

function start(steps: unknown[], setting: Setting = {}) {
  const { output, input = {}, event = null, signal = new Cancel(), turn = usual } = setting;
  const log: string[] = [];
  const seen: Task[] = [];
  let active = 0;
  let most = 0;
  const perform = async (task: Task): Promise<unknown> => {
    const { body, path, values } = task;
    log.push(`+${path}`);
    seen.push(task);
    most = Math.max(most, ++active);
    try {
      return await turn(body.args.template.evaluate(values) as Record<string, unknown>, task);
    } finally {
      active--;
      log.push(`-${path}`);
    }
  };
  const program = programOf({ steps, ...(output !== undefined && { output }) }, "chain");
  const end = outcomeOf(walk(program, { input, event }, perform, signal));
  return { end, log, seen, active: () => active, most: () => most };
}

async function run(steps: unknown[], setting: Setting = {}) {
  const started = start(steps, setting);
  await vi.runAllTimersAsync();
  return { ...started, end: await started.end };
}

const call = (id: string, args: object = {}, over: object = {}) => ({
  id,
  tool: "t",
  arguments: args,
  ...over,
});

const failed = (error: object): unknown =>
  expect.objectContaining({ name: "StepFailed", error: expect.objectContaining(error) });

describe("steps one after the other", () => {
  it("see the input, the event and what was done before them", async () => {
    const { end, log } = await run(
      [
        call("a", { v: "${{ input.x }}", ms: 20 }),
        call("b", { v: "${{ steps.a.result.v + 1 }}", e: "${{ event.type }}" }),
      ],
      { input: { x: 1 }, event: { type: "late" } },
    );
    expect(end).toEqual({ v: 2, e: "late" });
    expect(log).toEqual(["+a", "-a", "+b", "-b"]);
  });

  it("give the output where there is one, else the last result", async () => {
    const steps = [call("a", { v: 1 }), call("b", { v: 2 })];
    expect((await run(steps)).end).toEqual({ v: 2 });
    const output = { a: "${{ steps.a.result.v }}", text: "b is ${{ steps.b.result.v }}" };
    expect((await run(steps, { output })).end).toEqual({ a: 1, text: "b is 2" });
  });

  it("fail with the first step that fails, and nothing more is begun", async () => {
    const { end, log } = await run([call("a", { fail: "no" }), call("b")]);
    expect(end).toEqual(failed({ step: "a", message: "no" }));
    expect(log).toEqual(["+a", "-a"]);
  });

  it("have a result made anew where they say how", async () => {
    const { end } = await run([
      call("a", { v: [1, 2] }, { output: { first: "${{ result.v[0] }}" } }),
      call("b", { v: "${{ steps.a.result }}" }),
    ]);
    expect(end).toEqual({ v: { first: 1 } });
  });

  it.each([
    ["its result", [call("a", {}, { output: "${{ result.gone }}" })], undefined, "a"],
    ["its list", [call("a", {}, { forEach: { in: "${{ input.gone }}" } })], undefined, "a"],
    ["its condition", [call("a", {}, { when: "input.gone" })], undefined, "a"],
    ["a default", [call("a", { fail: 1 }, fallback("${{ input.gone }}"))], undefined, "a"],
    ["the whole output", [call("a")], "${{ input.gone }}", outputStep],
  ])("fail where %s cannot be made", async (_, steps, output, step) => {
    const { end } = await run(steps, output === undefined ? {} : { output });
    expect(end).toEqual(
      failed({ step, code: "expression", outcome: "failed", message: expect.stringMatching(/^`/) }),
    );
  });

  it("take a step of the id output as a step", async () => {
    const { end } = await run([call("output", { fail: "no" })], { output: 1 });
    expect(end).toEqual(failed({ step: "output", message: "no" }));
  });
});

function fallback(value: unknown) {
  return { onError: { action: "default", default: value } };
}

describe("when", () => {
  it.each([
    [true, ["+a", "-a", "+b", "-b"]],
    [false, ["+b", "-b"]],
  ])("%s decides whether the step is done", async (x, wanted) => {
    const { log } = await run([call("a", {}, { when: "input.x" }), call("b")], { input: { x } });
    expect(log).toEqual(wanted);
  });

  it("leaves null as the result of what was skipped, and of all below it", async () => {
    const output = "${{ [steps.a.result, steps.b.result, steps.c.result] }}";
    const group = { id: "b", when: "false", steps: [call("c")], output: 7 };
    const { end, log } = await run([call("a", {}, { when: "false", output: 7 }), group], {
      output,
    });
    expect(end).toEqual([null, null, null]);
    expect(log).toEqual([]);
  });

  it.each([1, "true", null, "false", ["x"], {}])("that is %j is an error", async (x) => {
    const { end } = await run([call("a", {}, { when: "input.x" })], { input: { x } });
    expect(end).toEqual(failed({ step: "a", code: "definition" }));
    expect(String(end)).toMatch(/expected when to be true or false, got (a \w+|null)$/);
  });
});

describe("switch", () => {
  const steps = [
    {
      id: "s",
      switch: {
        value: "input.x",
        cases: {
          a: [call("a1", { v: 1 }), call("a2", { v: 2 })],
          "1": [call("one", { v: "one" })],
          true: [call("yes", { v: "yes" })],
          null: [call("none", { v: "none" })],
          empty: [],
          constructor: [call("odd", { v: "odd" })],
        },
      },
    },
  ];

  it.each([
    ["a", { v: 2 }],
    [1, { v: "one" }],
    ["1", { v: "one" }],
    [true, { v: "yes" }],
    [null, { v: "none" }],
    ["empty", null],
    ["constructor", { v: "odd" }],
  ])("by %j does the steps of that case and gives the last result", async (x, wanted) => {
    expect((await run(steps, { input: { x } })).end).toEqual(wanted);
  });

  it.each(["b", 2, false, "toString", "__proto__", { a: 1 }, "x".repeat(100_000)])(
    "by a case that is not there fails and tells those that are",
    async (x) => {
      const { end } = await run(steps, { input: { x } });
      expect(end).toEqual(failed({ step: "s", code: "definition" }));
      expect(String(end)).toMatch(/there is no case .*; expected "1", "a", "true", "null"/);
      expect(String(end).length).toBeLessThan(400);
    },
  );

  it("does the default where there is no such case", async () => {
    const value = { value: "'b'", cases: {}, default: [call("d", { v: 3 })] };
    expect((await run([{ id: "s", switch: value }])).end).toEqual({ v: 3 });
  });
});

describe("parallel", () => {
  const parallel = (steps: unknown[], over: object = {}) => ({ id: "p", parallel: steps, ...over });

  it("does all at once, and gives their results by id", async () => {
    const { end, most } = await run([
      parallel([call("a", { ms: 20, v: 1 }), call("b", { ms: 10, v: 2 })]),
    ]);
    expect(end).toEqual({ a: { v: 1 }, b: { v: 2 } });
    expect(most()).toBe(2);
  });

  it("cancels the rest at the first failure, and ends when all have ended", async () => {
    const cut: string[] = [];
    const slow: Turn = async (args, task) => {
      if (args["stays"] === undefined) return usual(args, task);
      task.signal.subscribe(({ message }) => cut.push(message));
      await sleep(500);
      return {};
    };
    const started = start(
      [parallel([call("a", { ms: 10, fail: "no" }), call("b", { stays: true }), call("c")])],
      { turn: slow },
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(cut).toEqual(["another step has failed"]);
    expect(started.active()).toBe(1);
    await vi.advanceTimersByTimeAsync(500);
    expect(await started.end).toEqual(failed({ step: "a", message: "no" }));
    expect(started.active()).toBe(0);
  });

  it("begins no next step of a branch that was cancelled", async () => {
    const branch = { id: "g", steps: [call("g1", { ms: 50 }), call("g2")] };
    const { log, end } = await run([parallel([call("a", { ms: 10, fail: "no" }), branch])]);
    expect(log).toEqual(["+a", "+g1", "-a", "-g1"]);
    expect(end).toEqual(failed({ step: "a" }));
  });

  it("that collects does all, and tells what failed", async () => {
    const steps = [
      call("a", { ms: 10, fail: "no" }),
      call("b", { ms: 30, v: 2 }),
      call("c", { ms: 20, fail: "never" }),
    ];
    const output = { result: "${{ steps.p.result }}", errors: "${{ steps.p.errors }}" };
    const { end } = await run([parallel(steps, { mode: "collect" })], { output });
    expect(end).toEqual({
      result: { a: null, b: { v: 2 }, c: null },
      errors: [
        expect.objectContaining({ step: "a", message: "no" }),
        expect.objectContaining({ step: "c", message: "never" }),
      ],
    });
  });

  it("that collects is halted all the same, once all have ended", async () => {
    const steps = [call("a", { ms: 10, halt: "who knows" }), call("b", { ms: 5, fail: "no" })];
    const { end, log } = await run([parallel(steps, { mode: "collect" })]);
    expect(end).toMatchObject({ name: "Halted", message: "who knows" });
    expect(log.at(-1)).toBe("-a");
  });

  it("tells what halts it rather than what failed before", async () => {
    const turn: Turn = async ({ halt }, { path }) => {
      if (halt === undefined) throw stepFailed(path, "upstream_error", "no");
      await sleep(10);
      throw new Halted("stuck", "who knows");
    };
    const { end } = await run([parallel([call("a"), call("b", { halt: true })])], { turn });
    expect(end).toBeInstanceOf(Halted);
  });

  it("passes on what is no failure of a step", async () => {
    const turn: Turn = () => Promise.reject(new TypeError("defect"));
    const { end } = await run([parallel([call("a")], { mode: "collect" })], { turn });
    expect(end).toBeInstanceOf(TypeError);
  });
});

describe("forEach", () => {
  const loop = (forEach: object, args: object = {}, over: object = {}) =>
    call("l", args, { forEach: { in: "${{ input.list }}", ...forEach }, ...over });
  const list = [30, 10, 20];

  it.each([1, 2])(
    "begins no other element once one has failed, %d at once",
    async (maxParallel) => {
      const sent: string[] = [];
      const turn: Turn = async (_, { path, signal }) => {
        if (signal.reason !== undefined) throw stepFailed(path, "cancelled", signal.reason.message);
        sent.push(path);
        await sleep(10);
        throw stepFailed(path, "upstream_error", "no");
      };
      const { end } = await run([loop({ maxParallel })], { input: { list }, turn });
      expect(end).toEqual(failed({ step: "l[0]", message: "no" }));
      expect(sent).toHaveLength(maxParallel);
    },
  );

  it("does the step for one element after the other, and gives the results in order", async () => {
    const { end, log } = await run([loop({}, { v: "${{ item }}", n: "${{ index }}" })], {
      input: { list },
    });
    expect(end).toEqual(list.map((v, n) => ({ v, n })));
    expect(log).toEqual(["+l[0]", "-l[0]", "+l[1]", "-l[1]", "+l[2]", "-l[2]"]);
  });

  it("gives the results in the order of the list, whichever ends first", async () => {
    const { end, log, most } = await run(
      [loop({ maxParallel: 3 }, { ms: "${{ item }}", v: "${{ item }}" })],
      { input: { list } },
    );
    expect(end).toEqual(list.map((v) => ({ v })));
    expect(log.slice(3)).toEqual(["-l[1]", "-l[2]", "-l[0]"]);
    expect(most()).toBe(3);
  });

  it.each([1, 2, 5])("does at most %i at once", async (maxParallel) => {
    const { most } = await run([loop({ maxParallel }, { ms: 10 })], {
      input: { list: Array.from({ length: 9 }) },
    });
    expect(most()).toBe(maxParallel);
  });

  it("begins a batch when the one before has ended", async () => {
    const { log } = await run([loop({ maxParallel: 9, batchSize: 2 }, { ms: "${{ item }}" })], {
      input: { list: [20, 10, 5] },
    });
    expect(log).toEqual(["+l[0]", "+l[1]", "-l[1]", "-l[0]", "+l[2]", "-l[2]"]);
  });

  it("takes a list that is written out, with expressions", async () => {
    const step = call("l", { v: "${{ item }}" }, { forEach: { in: [1, "${{ input.x }}"] } });
    expect((await run([step], { input: { x: 2 } })).end).toEqual([{ v: 1 }, { v: 2 }]);
  });

  it("gives an empty list for none", async () => {
    expect((await run([loop({})], { input: { list: [] } })).end).toEqual([]);
  });

  it.each([
    [{ a: 1 }, "expected forEach.in to be a list, got a object"],
    ["text", "expected forEach.in to be a list, got a string"],
    [null, "expected forEach.in to be a list, got null"],
  ])("over %j is an error", async (given, message) => {
    const { end } = await run([loop({})], { input: { list: given } });
    expect(end).toEqual(failed({ step: "l", code: "definition", message }));
  });

  it("over more than it may go through is an error before anything is begun", async () => {
    const { end, log } = await run([loop({ maxIterations: 2 })], { input: { list } });
    const message = "expected at most 2 elements (maxIterations), got 3";
    expect(end).toEqual(failed({ step: "l", code: "definition", message }));
    expect(log).toEqual([]);
  });

  it("stops at the first failure, with the element's place", async () => {
    const { end, log } = await run([loop({}, { fail: "${{ index == 1 ? 'no' : null }}" })], {
      input: { list },
      turn: (args, task) => usual(args["fail"] === null ? {} : args, task),
    });
    expect(end).toEqual(failed({ step: "l[1]" }));
    expect(log.slice(0, 4)).toEqual(["+l[0]", "-l[0]", "+l[1]", "-l[1]"]);
  });

  it("that collects gives null for what failed", async () => {
    const { end } = await run([loop({}, { n: "${{ index }}" }, { mode: "collect" })], {
      input: { list },
      output: "${{ [steps.l.result, steps.l.errors.map(e, e.step)] }}",
      turn: (args, task) => usual(args["n"] === 1 ? { fail: "no" } : args, task),
    });
    expect(end).toEqual([[{ n: 0 }, null, { n: 2 }], ["l[1]"]]);
  });

  it("goes through loops in loops, each with names of its own", async () => {
    const inner = call(
      "i",
      { v: "${{ string(row.n) + col + string(index) }}" },
      { forEach: { in: "${{ row.cols }}", as: "col" } },
    );
    const outer = {
      id: "o",
      forEach: { in: "${{ input.rows }}", as: "row" },
      steps: [inner, call("after", { n: "${{ index }}", v: "${{ steps.i.result }}" })],
    };
    const rows = [
      { n: 1, cols: ["a", "b"] },
      { n: 2, cols: ["c"] },
    ];
    const { end, log } = await run([outer], { input: { rows } });
    expect(end).toEqual([
      { n: 0, v: [{ v: "1a0" }, { v: "1b1" }] },
      { n: 1, v: [{ v: "2c0" }] },
    ]);
    expect(log.filter((line) => line.startsWith("+"))).toEqual([
      "+o[0].i[0]",
      "+o[0].i[1]",
      "+o[0].after",
      "+o[1].i[0]",
      "+o[1].after",
    ]);
  });

  it("keeps what one element did from the others", async () => {
    const outer = {
      id: "o",
      forEach: { in: [1, 2, 3], maxParallel: 3 },
      steps: [
        call("a", { v: "${{ item }}", ms: "${{ 40 - item * 10 }}" }, { when: "item != 2" }),
        call("b", { v: "${{ steps.a.result == null ? 0 : steps.a.result.v }}" }),
      ],
    };
    expect((await run([outer])).end).toEqual([{ v: 1 }, { v: 0 }, { v: 3 }]);
  });
});

describe("onError", () => {
  it("continue gives null, and the error to those who ask for it", async () => {
    const { end } = await run([call("a", { fail: "no" }, { onError: { action: "continue" } })], {
      output: ["${{ steps.a.result }}", "${{ steps.a.error.message }}"],
    });
    expect(end).toEqual([null, "no"]);
  });

  it("default gives the default, made from what is known", async () => {
    const { end } = await run([call("a", { fail: "no" }, fallback({ v: "${{ input.x }}" }))], {
      input: { x: 3 },
    });
    expect(end).toEqual({ v: 3 });
  });

  it("of a group takes what fails in it", async () => {
    const group = { id: "g", steps: [call("a", { fail: "no" }), call("b")], ...fallback(5) };
    const { end, log } = await run([group]);
    expect([end, log]).toEqual([5, ["+a", "-a"]]);
  });

  it("of a loop takes a list that is none", async () => {
    const step = call("a", {}, { forEach: { in: "${{ input.x }}" }, ...fallback([]) });
    expect((await run([step], { input: { x: 1 } })).end).toEqual([]);
  });

  it.each(["continue", "default"])("%s does not swallow a cancel", async (action) => {
    const signal = new Cancel();
    const onError = { action, ...(action === "default" && { default: 1 }) };
    const steps = [
      { id: "g", onError, steps: [call("a", { ms: 100 }, { onError })] },
      call("b"),
      { id: "p", mode: "collect", parallel: [call("c")] },
    ];
    const started = start(steps, { signal });
    await vi.advanceTimersByTimeAsync(10);
    signal.cancel(cancelled("not wanted"));
    await vi.runAllTimersAsync();
    expect(await started.end).toEqual(failed({ step: "a", code: "cancelled" }));
    expect(started.log).toEqual(["+a", "-a"]);
  });

  it("does not swallow what halts the run", async () => {
    const { end } = await run([
      call("a", { halt: "who knows" }, { onError: { action: "continue" } }),
    ]);
    expect(end).toBeInstanceOf(Halted);
  });

  it("takes the tool's own failure even where the run is cancelled meanwhile", async () => {
    const signal = new Cancel();
    const turn: Turn = (args, task) => {
      signal.cancel(cancelled("not wanted"));
      return "fail" in args
        ? Promise.reject(stepFailed(task.path, "upstream_error", "no"))
        : usual(args, task);
    };
    const { end, log } = await run(
      [call("a", { fail: 1 }, { onError: { action: "continue" } }), call("b")],
      { signal, turn },
    );
    // So a run that is driven anew comes to all that it had begun.
    expect(log).toContain("+b");
    expect(end).toEqual(failed({ step: "b", code: "cancelled" }));
  });
});

describe("the work of one run", () => {
  it("is bounded, however its loops multiply and whatever they swallow", async () => {
    const many = Array.from({ length: 300 }, (_, n) => n);
    const loop = (id: string, body: object): object => ({
      id,
      forEach: { in: "${{ input.many }}", as: `in_${id}`, maxParallel: 64 },
      mode: "collect",
      onError: { action: "continue" },
      ...body,
    });
    const steps = [loop("a", { steps: [loop("b", { steps: [loop("c", { tool: "t" })] })] })];
    const { end, log } = await run(steps, { input: { many }, turn: () => 1 });
    expect(end).toEqual(
      failed({
        code: "definition",
        message: "a run begins at most 20000 steps, each element of a loop counted",
      }),
    );
    expect(log.length).toBeLessThan(2 * mostBegun + 2);
    expect(end).toBeInstanceOf(StepFailed);
  });
});

describe("what a run holds", () => {
  it("is bounded, whatever steps swallow", async () => {
    const large = "x".repeat(1024 * 1024);
    const done: string[] = [];
    const turn: Turn = (_, { path, signal }) => {
      if (signal.reason !== undefined) throw stepFailed(path, "cancelled", signal.reason.message);
      done.push(path);
      return large;
    };
    const loop = call(
      "l",
      {},
      {
        forEach: { in: Array.from({ length: 100 }, () => 0) },
        mode: "collect",
        onError: { action: "continue" },
      },
    );
    const { end } = await run([loop, call("b")], { turn });
    expect(end).toEqual(failed({ step: "l[63]", code: "too_large" }));
    expect(done).toHaveLength(64);
  });
});

describe("names that mean something in JavaScript", () => {
  it.each(["__proto__", "constructor", "toString", "hasOwnProperty", "prototype"])(
    "are names of steps and elements: %s",
    async (name) => {
      const { end } = await run([
        call(name, { v: 1 }),
        { id: "p", parallel: [call("x", { v: `\${{ steps.${name}.result.v + 1 }}` })] },
        call("l", { v: "${{ item }}" }, { forEach: { in: [5] } }),
      ]);
      expect(end).toEqual([{ v: 5 }]);
      expect(({} as { v?: unknown }).v).toBeUndefined();
    },
  );
});
