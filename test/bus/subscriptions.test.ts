import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { JsonObject, Result, Tool } from "../../src/call.ts";
import { subscription } from "../../src/bus/events-options.ts";
import type { Door } from "../../src/bus/runs.ts";
import { Sink, withoutLoops } from "../../src/bus/sinks.ts";
import { Subscription } from "../../src/bus/subscriptions.ts";
import { sink } from "../../src/bus/events-options.ts";
import { sleep } from "../../src/time.ts";
import { ok, outcomeOf, tool } from "../support/calls.ts";
import { notice } from "./support.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

interface Made {
  readonly tool: string;
  readonly params: JsonObject;
  readonly caller: unknown;
}

/** A door to a tool and a chain, and the calls that were made. */
function door(answer: () => Promise<Result> = () => Promise.resolve(ok())) {
  const made: Made[] = [];
  const tools = new Map<string, Tool>([
    ["up__do", tool()],
    ["hf__c", tool({ name: "hf__c", upstream: "holdfast", remoteName: "c" })],
  ]);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- all of it that is used
  const through = {
    catalog: { tools },
    findTool: (name: string) => tools.get(name),
    callTool: ({ name }: Tool, params: JsonObject, { caller }: { caller: unknown }) => {
      made.push({ tool: name, params, caller });
      return answer();
    },
  } as unknown as Door;
  return { through, made };
}

function setUp(
  given: unknown,
  answer?: () => Promise<Result>,
  made?: { id: string; principal: string },
) {
  const problems: string[] = [];
  const { through, made: calls } = door(answer);
  const options = subscription.parse(given);
  const one = new Subscription(
    options,
    {
      door: through,
      onProblem: (problem) => problems.push(problem),
      mayRun: () => (made?.id === "denied" ? "inline rules forbid it" : undefined),
    },
    made && { id: made.id, owner: { principal: made.principal, session: "s", client: "c" } },
  );
  return { one, calls, problems };
}

const run = { tool: "up__do", arguments: { to: "${{ event.data.email }}" } };

describe("a subscription", () => {
  it("calls its tool as whoever the event belongs to, in the trace of the event", async () => {
    const { one, calls } = setUp({ on: "x", run });
    const trace = "ab".repeat(16);
    await one.handle(notice({ data: { email: "a@b" }, trace }, 1, { owner: "ada", depth: 2 }));
    expect(calls).toEqual([
      {
        tool: "up__do",
        params: {
          arguments: { to: "a@b" },
          _meta: { traceparent: expect.stringMatching(`^00-${trace}-[0-9a-f]{16}-01$`) },
        },
        caller: { principal: "ada", session: "events/3", client: "holdfast" },
      },
    ]);
  });

  it("starts a chain or saga by its name, with the event where nothing else is said", async () => {
    const { one, calls } = setUp({ on: "x", run: { chain: "c" } });
    const given = notice({ data: 1 });
    await one.handle(given);
    expect(calls).toMatchObject([{ tool: "hf__c", params: { arguments: given.event } }]);
  });

  it("works on so many at once, lets so many wait, and drops, counts and tells the rest", async () => {
    const { one, problems } = setUp({ on: "x", run, maxConcurrent: 2, maxQueue: 1 }, () =>
      sleep(100).then(() => ok()),
    );
    const all = Array.from({ length: 5 }, () =>
      outcomeOf(one.handle(notice({ data: { email: "" } }))),
    );
    await vi.advanceTimersByTimeAsync(200);
    expect((await Promise.all(all)).filter((outcome) => outcome instanceof Error)).toHaveLength(2);
    expect(one.status()).toMatchObject({ done: 3, failed: 0, dropped: 2, active: 0, waiting: 0 });
    expect(problems).toEqual([expect.stringContaining("new ones are dropped")]);
  });

  it("tells the first failure of several in a row", async () => {
    const { one, problems } = setUp({ on: "x", run: { tool: "gone" } });
    for (let n = 0; n < 3; n++) expect(await outcomeOf(one.handle(notice()))).toBeInstanceOf(Error);
    expect(one.status()).toMatchObject({ failed: 3, problem: "there is no tool for gone" });
    expect(problems).toHaveLength(1);
  });

  it("hears what its condition holds for, and fails where that gives no answer", () => {
    const { one } = setUp({ on: "x", when: "event.data.n > 5", run });
    expect(one.hears(notice({ data: { n: 6 } }))).toBe(true);
    expect(one.hears(notice({ data: { n: 5 } }))).toBe(false);
    expect(() => one.hears(notice({ data: null }))).toThrow("event.data.n");
    const { one: odd } = setUp({ on: "x", when: "event.data", run });
    expect(() => odd.hears(notice({ data: 5 }))).toThrow("true or false");
  });

  it("of a caller hears that caller's events alone, and what concerns all", () => {
    const { one } = setUp({ on: "x", run }, undefined, { id: "1", principal: "ada" });
    const heard = [{ owner: "ada" }, { owner: "bob" }, { owner: undefined }].map((over) =>
      one.hears(notice({}, 1, over)),
    );
    expect(heard).toEqual([true, false, true]);
  });

  it("of a caller is asked at each run whether it may", async () => {
    const { one, calls } = setUp({ on: "x", run }, undefined, { id: "denied", principal: "ada" });
    expect(await outcomeOf(one.handle(notice()))).toMatchObject({
      message: "inline rules forbid it",
    });
    expect(calls).toEqual([]);
  });

  it("that ends starts nothing more, and lets what is under way go on", async () => {
    const { one, calls } = setUp({ on: "x", run, maxConcurrent: 1 }, () =>
      sleep(100).then(() => ok()),
    );
    const data = { email: "" };
    const first = one.handle(notice({ data }));
    void outcomeOf(one.handle(notice({ data })));
    await vi.advanceTimersByTimeAsync(1);
    one.stop(false);
    await vi.advanceTimersByTimeAsync(200);
    await first;
    expect(calls).toHaveLength(1);
    expect(one.status()).toMatchObject({ done: 1, dropped: 1 });
  });
});

describe("what may be given to a tool", () => {
  const gateway = (type: string, over: object) =>
    notice({ type, source: "holdfast/gateway/1" }, 1, over);

  it("is nothing that events have caused, but users' events to a bounded depth", () => {
    const hears = withoutLoops(() => {});
    expect(hears(gateway("call.failed", { depth: 0 }))).toBe(true);
    expect(hears(gateway("call.failed", { depth: 1 }))).toBe(false);
    expect(hears(gateway("event.problem", { owner: undefined }))).toBe(false);
    expect([0, 1, 7, 8].map((depth) => hears(notice({}, 1, { depth })))).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });

  it("is what befalls servers at a bounded rate, and the rest is counted", () => {
    let dropped = 0;
    const hears = withoutLoops(() => void dropped++);
    const lost = (): boolean => hears(gateway("upstream.state", { owner: undefined }));
    expect(Array.from({ length: 100 }, lost).filter(Boolean)).toHaveLength(60);
    expect(dropped).toBe(40);
    vi.advanceTimersByTime(5000);
    expect(Array.from({ length: 100 }, lost).filter(Boolean)).toHaveLength(5);
  });
});

describe("a sink that is a tool", () => {
  const make = (given: object, answer?: () => Promise<Result>) => {
    const { through, made } = door(answer);
    const options = sink.parse({ type: "tool", tool: "up__do", ...given });
    return { one: new Sink(options, { door: through, onProblem: () => {} }), made };
  };

  it("is given all events at once, or what its template says", async () => {
    const { one, made } = make({});
    for (const data of [1, 2]) one.handle(notice({ data }));
    await one.flush();
    expect(made).toMatchObject([
      {
        params: { arguments: { events: [{ data: 1 }, { data: 2 }] } },
        caller: { principal: "local", session: "events" },
      },
    ]);
    const other = make({ arguments: { rows: "${{ events.map(e, e.data) }}" } });
    for (const data of [1, 2]) other.one.handle(notice({ data }));
    await other.one.flush();
    expect(other.made).toMatchObject([{ params: { arguments: { rows: [1, 2] } } }]);
  });

  it("is called again where it says no or cannot be reached", async () => {
    const answers = [{ ...ok("busy"), isError: true }, ok()];
    const { one, made } = make({}, () => Promise.resolve(answers.shift() ?? ok()));
    one.handle(notice());
    await one.flush();
    expect(one.status()).toMatchObject({ buffered: 1, failures: 1, problem: "up__do said: busy" });
    await vi.advanceTimersByTimeAsync(2000);
    expect(made).toHaveLength(2);
    expect(one.status()).toMatchObject({ buffered: 0, delivered: 1 });
    const gone = make({ tool: "gone" });
    gone.one.handle(notice());
    await gone.one.flush();
    expect(gone.one.status()).toMatchObject({ buffered: 1, problem: "there is no tool gone" });
  });
});
