import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Bus, type Subscriber } from "../../src/bus/bus.ts";
import type { Notice } from "../../src/bus/cloud-event.ts";
import { CallError } from "../../src/errors.ts";
import type { GatewayEvent } from "../../src/events.ts";
import { sleep } from "../../src/time.ts";
import { call, ok } from "../support/calls.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const history = { maxEvents: 10, maxBytes: 1000, maxAgeMs: 60_000 };

function setUp(redact: (text: string) => string = (text) => text) {
  const bus = new Bus(redact);
  bus.history.bound(history);
  const heard: Notice[] = [];
  const listen = (types: string[], over: Partial<Subscriber> = {}): (() => void) =>
    bus.subscribe({ types, handle: (notice) => void heard.push(notice), ...over });
  const publish = (type: string, data: unknown = null, over = {}) =>
    bus.publish(type, data, 10, call(over));
  const find = (type?: string, over = {}) =>
    bus.history.find({ type, since: -Infinity, limit: 100, principal: "local", ...over }).events;
  return { bus, heard, listen, publish, find };
}

const failed = (message: string): GatewayEvent => ({
  type: "call.failed",
  call: call({ params: { name: "do", arguments: { password: "hidden" } } }),
  error: new CallError("timeout", message, { outcome: "unknown" }),
  ms: 1.23456,
});

describe("publishing", () => {
  it("tells all at once, and one that fails hurts no other", async () => {
    const { heard, listen, publish } = setUp();
    listen(["*"], { handle: () => Promise.reject(new Error("no")) });
    listen(["lead.*"], {
      handle: () => {
        throw new Error("no");
      },
    });
    listen(["lead.created"]);
    listen(["order.*"]);
    expect(await publish("lead.created", { a: 1 })).toMatchObject({
      told: 3,
      failed: 2,
      pending: 0,
    });
    expect(heard.map(({ event }) => event)).toEqual([
      {
        specversion: "1.0",
        id: expect.any(String),
        source: "holdfast/users/local",
        type: "lead.created",
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        datacontenttype: "application/json",
        trace: "0".repeat(32),
        data: { a: 1 },
      },
    ]);
  });

  it("waits for those who work on it, for two seconds", async () => {
    const { listen, publish } = setUp();
    listen(["x"], { handle: () => sleep(1000) });
    listen(["x"], { handle: () => sleep(3000) });
    const answer = publish("x");
    await vi.advanceTimersByTimeAsync(2000);
    expect(await answer).toMatchObject({ told: 2, failed: 0, pending: 1 });
  });

  it("waits for nobody where an event has led to it", async () => {
    const { listen, publish } = setUp();
    listen(["x"], { handle: () => sleep(1000) });
    const caller = { principal: "local", session: "events", client: "" };
    const answer = publish("x", null, { caller });
    await vi.advanceTimersByTimeAsync(1);
    expect(await answer).toMatchObject({ told: 1, pending: 1 });
  });

  it("tells nobody who has stopped to listen, or for whom it is not meant", async () => {
    const { heard, listen, publish } = setUp();
    listen(["x"])();
    listen(["x"], { hears: () => false });
    expect(await publish("x")).toMatchObject({ told: 0 });
    expect(heard).toEqual([]);
  });
});

describe("a gateway event", () => {
  it("is told as a CloudEvent without arguments, results and secrets", () => {
    const { bus, heard, listen } = setUp((text) => text.replaceAll("s3cret", "[secret]"));
    listen(["call.*"]);
    bus.take(failed("it said s3cret"));
    bus.take({ type: "call.succeeded", call: call(), result: ok("hidden"), ms: 2 });
    expect(heard.map(({ event, owner }) => ({ ...event, owner }))).toMatchObject([
      {
        type: "call.failed",
        subject: "up__do",
        owner: "local",
        data: {
          method: "tools/call",
          upstream: "up",
          tool: "up__do",
          caller: { principal: "local", session: "test", client: "test 1" },
          code: "timeout",
          outcome: "unknown",
          attempts: 1,
          ms: 1.235,
          message: "it said [secret]",
        },
      },
      { type: "call.succeeded", data: { ms: 2 } },
    ]);
    expect(JSON.stringify(heard)).not.toContain("hidden");
  });

  it("is kept of calls that ended well as the same event, though nobody was told", () => {
    const { bus, find, heard, listen } = setUp();
    const succeeded = { type: "call.succeeded", call: call(), result: ok(), ms: 2 } as const;
    bus.take(succeeded);
    listen(["call.succeeded"]);
    bus.take(succeeded);
    const [kept, told] = find("call.*");
    expect({ ...kept, id: "" }).toEqual({ ...told, id: "" });
    expect(kept?.id).not.toBe(told?.id);
    expect(heard[0]?.event).toBe(told);
  });

  it("is not kept where it only helps to find a defect, but told", () => {
    const { bus, find, heard, listen } = setUp();
    listen(["call.started"]);
    bus.take({ type: "call.started", call: call() });
    bus.take({ type: "cache.missed", call: call() });
    expect(heard).toHaveLength(1);
    expect(find()).toEqual([]);
  });

  it("of somebody else's call is not given to a caller", () => {
    const { bus, find } = setUp();
    bus.take(failed("no"));
    bus.take({ type: "config.problem", problem: "p" });
    expect(find(undefined, { principal: "other" })).toMatchObject([{ type: "config.problem" }]);
  });

  it("has texts of a bounded length", () => {
    const { bus, find } = setUp();
    bus.take(failed("x".repeat(100_000)));
    expect(JSON.stringify(find())).toHaveLength(JSON.stringify(find()).length);
    expect(JSON.stringify(find()).length).toBeLessThan(2000);
  });
});

describe("the history", () => {
  it("keeps so many of each kind that none pushes out another", async () => {
    const { bus, publish, find } = setUp();
    bus.take({ type: "config.problem", problem: "p" });
    await publish("mine");
    for (let n = 0; n < 30; n++) bus.take(failed(`${n}`));
    expect(find("call.*").map(({ data }) => (data as { message: string }).message)).toEqual(
      Array.from({ length: 10 }, (_, n) => `${n + 20}`),
    );
    expect(find().slice(0, 2)).toMatchObject([{ type: "config.problem" }, { type: "mine" }]);
  });

  it("keeps users' events in so many bytes", async () => {
    const { bus, find } = setUp();
    for (let n = 0; n < 5; n++) await bus.publish("x", n, 300, call());
    expect(find().map(({ data }) => data)).toEqual([2, 3, 4]);
    await bus.publish("x", "too large", 1001, call());
    expect(find()).toEqual([]);
  });

  it("forgets what is too old, and keeps what fits when it is bounded otherwise", async () => {
    const { bus, publish, find } = setUp();
    await publish("x", 1);
    vi.advanceTimersByTime(50_000);
    await publish("x", 2);
    await publish("x", 3);
    bus.history.bound({ ...history, maxEvents: 2 });
    expect(find().map(({ data }) => data)).toEqual([2, 3]);
    vi.advanceTimersByTime(60_001);
    expect(find()).toEqual([]);
    bus.history.bound({ ...history, maxEvents: 0 });
    await publish("x", 4);
    expect(find()).toEqual([]);
  });

  it("gives the newest of those that fit, and tells that there are more", async () => {
    const { bus, publish } = setUp();
    for (let n = 0; n < 4; n++) {
      await publish(n % 2 === 0 ? "even" : "odd", n);
      vi.advanceTimersByTime(1000);
    }
    const query = { since: Date.now() - 3500, limit: 1, principal: "local" };
    expect(bus.history.find(query)).toMatchObject({ events: [{ data: 3 }], more: true });
    expect(bus.history.find({ ...query, type: "e*" })).toMatchObject({
      events: [{ data: 2 }],
      more: false,
    });
  });
});
