import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { sleep } from "../../src/time.ts";
import { anna, gatewayOn, request, wait } from "../support/gateways.ts";
import { RunShelf, type Fuse } from "../support/memory-run-store.ts";
import { no, type Scripted } from "../support/workflows.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** What the servers hold, whatever becomes of the gateway: effects by key. */
class World {
  readonly happened = new Map<string, number>();
  /** Keys of calls of what is not idempotent. */
  readonly writes: string[] = [];

  /** Effects of what is not idempotent that came twice. */
  get doubled(): string[] {
    return [...new Set(this.writes)].filter((key) => (this.happened.get(key) ?? 0) > 1);
  }

  /** A tool that changes something; it takes a while, and its effect is there before its answer. */
  does(name: string, effect: "write" | "idempotent", says?: string): Scripted {
    return {
      effect,
      answer: async (args) => {
        const key = `${name} ${String(args["key"])}`;
        if (effect === "write") this.writes.push(key);
        await sleep(5);
        if (says !== undefined) return no(says);
        this.happened.set(key, (this.happened.get(key) ?? 0) + 1);
        await sleep(5);
        return { key: args["key"] };
      },
    };
  }

  /** What was done by `tool` with a key of that end, and was not undone. */
  get left(): string[] {
    return [...this.happened.keys()]
      .filter((key) => key.startsWith("do_"))
      .filter((key) => !this.happened.has(`undo_${key.slice(3)}.undo`))
      .map((key) => key.slice(0, key.indexOf(" ")))
      .toSorted();
  }

  looks(name: string): Scripted {
    return {
      effect: "read",
      answer: ({ key }) => ({ happened: this.happened.has(`${name} ${String(key)}`) }),
    };
  }
}

const key = { key: "${{ step.key }}" };
const step = (id: string, over: object = {}): JsonObject => ({
  id,
  tool: `do_${id}`,
  arguments: key,
  compensate: { tool: `undo_${id}`, arguments: key },
  ...over,
});

interface Story {
  readonly steps: JsonObject[];
  readonly tools: (world: World) => Record<string, Scripted>;
  /** The ends that it may come to, each with what is left. */
  readonly ends: Record<string, readonly string[]>;
}

const idempotent = (world: World, ...names: string[]): Record<string, Scripted> =>
  Object.fromEntries(names.map((name) => [name, world.does(name, "idempotent")]));

const verify = (id: string): object => ({
  verify: { tool: `look_${id}`, arguments: key, happened: "result.happened" },
  retry: { maxAttempts: 3 },
});

const stories: Record<string, Story> = {
  "a saga that comes through": {
    steps: [
      step("a"),
      { id: "p", parallel: [step("b"), step("c")] },
      step("d", { forEach: { in: [1, 2], maxParallel: 2 } }),
    ],
    tools: (world) =>
      idempotent(world, "do_a", "do_b", "do_c", "do_d", "undo_a", "undo_b", "undo_c", "undo_d"),
    ends: { completed: ["do_a", "do_b", "do_c", "do_d", "do_d"] },
  },
  "a saga that fails": {
    steps: [step("a"), { id: "p", parallel: [step("b"), step("c")] }, step("d")],
    tools: (world) => ({
      ...idempotent(world, "do_a", "do_b", "do_c", "undo_a", "undo_b", "undo_c"),
      do_d: world.does("do_d", "idempotent", "out of stock"),
      undo_d: world.does("undo_d", "idempotent"),
    }),
    // Where a call that is made again says no, nobody knows what the first one did.
    ends: { compensated: [], stuck: [] },
  },
  "a saga of writes that can be looked for": {
    steps: [step("a", verify("a")), step("b", verify("b")), step("c", verify("c"))],
    tools: (world) => ({
      ...idempotent(world, "undo_a", "undo_b", "undo_c"),
      do_a: world.does("do_a", "write"),
      do_b: world.does("do_b", "write"),
      do_c: world.does("do_c", "write", "out of stock"),
      look_a: world.looks("do_a"),
      look_b: world.looks("do_b"),
      look_c: world.looks("do_c"),
    }),
    ends: { compensated: [] },
  },
  "a saga of writes that nobody can look for": {
    steps: [step("a"), step("b")],
    tools: (world) => ({
      ...idempotent(world, "undo_a", "undo_b"),
      do_a: world.does("do_a", "write"),
      do_b: world.does("do_b", "write"),
    }),
    ends: { completed: ["do_a", "do_b"], stuck: [] },
  },
  "a saga that is past its pivot": {
    steps: [
      step("a"),
      { id: "b", tool: "do_b", arguments: key, pivot: true, ...verify("b") },
      { id: "c", tool: "do_c", arguments: key },
    ],
    tools: (world) => ({
      ...idempotent(world, "do_a", "undo_a", "do_c"),
      do_b: world.does("do_b", "write"),
      look_b: world.looks("do_b"),
    }),
    ends: { completed: ["do_a", "do_b", "do_c"] },
  },
  "a saga whose failure is taken for nothing, and whose steps depend on each other": {
    steps: [
      step("a", { onError: { action: "continue" } }),
      { id: "g", when: "steps.a.error != null", steps: [step("b"), step("c")] },
      step("d"),
    ],
    tools: (world) => ({
      ...idempotent(world, "do_b", "do_c", "undo_a", "undo_b", "undo_c", "undo_d"),
      do_a: world.does("do_a", "idempotent", "out of stock"),
      do_d: world.does("do_d", "idempotent", "out of stock"),
    }),
    ends: { compensated: [], stuck: [] },
  },
};

/** Tells a story with a process that dies at each write given, one after the other. */
async function told({ steps, tools }: Story, fuses: Fuse[]) {
  const world = new World();
  const shelf = new RunShelf();
  const definition = { steps };
  let deaths = 0;
  let last: ReturnType<typeof gatewayOn> | undefined;
  for (const fuse of [...fuses, undefined]) {
    last = gatewayOn(shelf, tools(world), fuse);
    // Who was told nothing asks again, with the same key.
    if (shelf.rows.size > 0) void last.runs.recover();
    else void last.runs.start(request(definition, { key: "k" }), wait()).catch(() => {});
    await vi.advanceTimersByTimeAsync(6000);
    if (!last.store.isDead) break;
    deaths++;
  }
  const [run] = shelf.runs;
  const view = await last?.runs.get(run?.id ?? "", anna);
  await last?.runs.close();
  vi.clearAllTimers();
  return { world, state: run?.state ?? "", view, hasDied: deaths > 0 };
}

const isOnce = ({ steps }: Story): boolean => !JSON.stringify(steps).includes("verify");

describe.each(Object.entries(stories))("%s", (_, story) => {
  /** Tells it, and what of its end is not right. */
  const wrongs = async (fuses: Fuse[]) => {
    const { world, state, view, hasDied } = await told(story, fuses);
    const isRight = state === "stuck" || world.left.join() === story.ends[state]?.join();
    const calls = isOnce(story) ? world.writes.length - new Set(world.writes).size : 0;
    const wrong = { fuses, state, left: world.left, doubled: world.doubled, calls, view };
    const isWell = state in story.ends && isRight && calls === 0 && world.doubled.length === 0;
    return { wrong: isWell ? [] : [wrong], hasDied };
  };

  it.each(["before", "after"] as const)(
    "comes to its right end though the process dies %s any one of its writes",
    async (at) => {
      let wrong: unknown[] = [];
      let write = 0;
      for (let hasDied = true; hasDied && wrong.length === 0;)
        ({ wrong, hasDied } = await wrongs([{ write: ++write, at }]));
      expect(wrong).toEqual([]);
      expect(write).toBeGreaterThan(3);
    },
  );

  it("comes to its right end though three processes die on the way", async () => {
    for (let n = 1; n <= 24; n++) {
      const fuses = [n % 7, n % 3, n % 5].map((write, index): Fuse => ({
        write: write + 1,
        at: (n + index) % 2 ? "before" : "after",
      }));
      expect((await wrongs(fuses)).wrong).toEqual([]);
    }
  });
});
