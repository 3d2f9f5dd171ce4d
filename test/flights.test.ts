import { afterEach, describe, expect, it, vi } from "vitest";
import type { Call, Progress, Result } from "../src/call.ts";
import { Cancel } from "../src/cancel.ts";
import { cancelled } from "../src/errors.ts";
import { Flights } from "../src/flights.ts";
import { asPersonal } from "../src/personal.ts";
import { now } from "../src/time.ts";
import { call, ok, outcomeOf, scripted, untilCancelled } from "./support/calls.ts";

/** An upstream whose answers come when the test says so. */
function controlled() {
  const seen: Call[] = [];
  const answers: ((result: Result | Error) => void)[] = [];
  const handle = (received: Call): Promise<Result> =>
    new Promise((resolve, reject) => {
      seen.push(received);
      answers.push((result) => (result instanceof Error ? reject(result) : resolve(result)));
    });
  return { seen, handle, answer: (at: number, result: Result | Error) => answers[at]?.(result) };
}

const enough = cancelled("enough");

afterEach(() => vi.useRealTimers());

describe("Flights", () => {
  it("gives all who wait the one answer, as the same object", async () => {
    const { handle, seen, answer } = controlled();
    const flights = new Flights();
    const waiting = Array.from({ length: 1000 }, () => flights.share("k", call(), handle));
    const result = ok();
    answer(0, result);
    for (const received of await Promise.all(waiting)) expect(received).toBe(result);
    expect(seen).toHaveLength(1);
    expect(flights.has("k")).toBe(false);
  });

  it("gives all who wait the one failure", async () => {
    const failure = new Error("it broke");
    const { handle } = scripted(failure);
    const flights = new Flights();
    const waiting = [1, 2].map(() => outcomeOf(flights.share("k", call(), handle)));
    expect(await Promise.all(waiting)).toEqual([failure, failure]);
    expect(flights.has("k")).toBe(false);
  });

  it("gives an outcome that is one client's alone to its calls, and sends those of others for themselves", async () => {
    for (const outcome of [asPersonal(ok("Ada's")), asPersonal(new Error("Ada's"))]) {
      const { handle, seen, answer } = controlled();
      const flights = new Flights();
      const of = (session: string, signal = new Cancel()): Promise<unknown> => {
        const caller = { principal: "p", session, client: "" };
        return outcomeOf(flights.share("k", call({ caller, signal }), handle));
      };
      const gone = new Cancel();
      const waiting = [of("ada", gone), of("ada"), of("bob"), of("cleo")];
      gone.cancel(enough);
      answer(0, outcome);
      expect(await waiting[1]).toBe(outcome);
      expect(seen.map(({ caller }) => caller.session)).toEqual(["ada", "bob", "cleo"]);
      answer(1, ok("Bob's"));
      answer(2, ok("Cleo's"));
      expect(await Promise.all(waiting.slice(2))).toEqual([ok("Bob's"), ok("Cleo's")]);
    }
  });

  it("sends calls of different keys, and calls after the answer, on their own", async () => {
    const { handle, seen } = scripted(ok("1"), ok("2"), ok("3"));
    const flights = new Flights();
    const both = [flights.share("a", call(), handle), flights.share("b", call(), handle)];
    expect(await Promise.all(both)).toEqual([ok("1"), ok("2")]);
    expect(await flights.share("a", call(), handle)).toEqual(ok("3"));
    expect(seen).toHaveLength(3);
  });

  it("lets a waiter go at once when it is cancelled, and the others stay", async () => {
    const { handle, seen, answer } = controlled();
    const flights = new Flights();
    const signal = new Cancel();
    const first = outcomeOf(flights.share("k", call({ signal }), handle));
    const second = flights.share("k", call(), handle);
    signal.cancel(enough);
    expect(await first).toBe(enough);
    expect(seen[0]?.signal.reason).toBeUndefined();
    answer(0, ok());
    expect(await second).toEqual(ok());
  });

  it("cancels the shared call when the last waiter is cancelled, and starts anew for the next", async () => {
    const { handle, seen } = scripted(untilCancelled, ok("new"));
    const flights = new Flights();
    const signals = [new Cancel(), new Cancel()];
    const waiting = signals.map((signal) =>
      outcomeOf(flights.share("k", call({ signal }), handle)),
    );
    signals[1]?.cancel(enough);
    expect(seen[0]?.signal.reason).toBeUndefined();
    signals[0]?.cancel(enough);
    expect(seen[0]?.signal.reason).toBe(enough);
    expect(flights.has("k")).toBe(false);
    expect(await flights.share("k", call(), handle)).toEqual(ok("new"));
    expect(await Promise.all(waiting)).toEqual([enough, enough]);
  });

  it("does not let the end of an abandoned call touch the one that took its place", async () => {
    const { handle, answer } = controlled();
    const flights = new Flights();
    const signal = new Cancel();
    const first = outcomeOf(flights.share("k", call({ signal }), handle));
    signal.cancel(enough);
    const second = flights.share("k", call(), handle);
    answer(0, ok("late"));
    expect(await first).toBe(enough);
    expect(flights.has("k")).toBe(true);
    answer(1, ok("its own"));
    expect(await second).toEqual(ok("its own"));
  });

  it("lets go of a waiter's signal when it has its answer", async () => {
    const { handle, seen } = scripted(ok());
    const signal = new Cancel();
    await new Flights().share("k", call({ signal }), handle);
    signal.cancel(enough);
    expect(seen[0]?.signal.reason).toBeUndefined();
  });

  it("sends nothing for a call that was cancelled before", async () => {
    const { handle, seen } = scripted();
    const signal = new Cancel();
    signal.cancel(enough);
    expect(await outcomeOf(new Flights().share("k", call({ signal }), handle))).toBe(enough);
    expect(seen).toHaveLength(0);
  });

  it("cancels a call whose caller cancels while it is being sent", async () => {
    const signal = new Cancel();
    const { handle, seen } = scripted((received) => {
      signal.cancel(enough);
      return untilCancelled(received);
    });
    expect(await outcomeOf(new Flights().share("k", call({ signal }), handle))).toBe(enough);
    expect(seen[0]?.signal.reason).toBe(enough);
  });

  it("gives the shared call the time of the first", async () => {
    const { handle, seen } = scripted(ok());
    const deadline = { at: 5, max: 9 };
    await new Flights().share("k", call({ deadline }), handle);
    expect(seen[0]?.deadline).toBe(deadline);
  });

  it("lets a waiter go that joined when its own time is over, and the others stay", async () => {
    vi.useFakeTimers();
    const { handle, seen, answer } = controlled();
    const flights = new Flights();
    const within = (ms: number) => call({ deadline: { at: now() + ms, max: Infinity } });
    const first = flights.share("k", call(), handle);
    const late = outcomeOf(flights.share("k", within(100), handle));
    const inTime = flights.share("k", within(200), handle);
    await vi.advanceTimersByTimeAsync(100);
    expect(await late).toMatchObject({ code: "timeout", outcome: "failed" });
    answer(0, ok());
    expect(await Promise.all([first, inTime])).toEqual([ok(), ok()]);
    expect(seen).toHaveLength(1);
    expect(seen[0]?.signal.reason).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ["is cancelled", (signal: Cancel) => signal.cancel(enough), "cancelled"],
    ["has no time left", () => vi.advanceTimersByTime(100), "timeout"],
  ])("cancels the shared call when the last waiter, who joined, %s", async (_, end, code) => {
    vi.useFakeTimers();
    const { handle, seen } = scripted(untilCancelled);
    const flights = new Flights();
    const [first, second] = [new Cancel(), new Cancel()];
    const deadline = { at: now() + 100, max: Infinity };
    const gone = outcomeOf(flights.share("k", call({ signal: first }), handle));
    const last = outcomeOf(flights.share("k", call({ signal: second, deadline }), handle));
    first.cancel(enough);
    expect(await gone).toBe(enough);
    expect(seen[0]?.signal.reason).toBeUndefined();
    end(second);
    expect(await last).toMatchObject({ code });
    expect(seen[0]?.signal.reason).toMatchObject({ code });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("tells progress to each waiter that wants it and still waits", () => {
    const { handle, seen } = controlled();
    const flights = new Flights();
    const notes: Progress[][] = [[], [], []];
    const signal = new Cancel();
    const wants = (who: number) => ({ onProgress: (note: Progress) => notes[who]?.push(note) });
    void outcomeOf(flights.share("k", call({ signal, ...wants(0) }), handle));
    void flights.share("k", call(), handle);
    void flights.share("k", call(wants(1)), handle);
    seen[0]?.onProgress?.({ progress: 1 });
    signal.cancel(enough);
    void flights.share("k", call(wants(2)), handle);
    seen[0]?.onProgress?.({ progress: 2 });
    expect(seen).toHaveLength(1);
    expect(notes.map((all) => all.map(({ progress }) => progress))).toEqual([[1], [1, 2], [2]]);
  });

  it("sends a second call for a waiter that wants progress where the first tells none", async () => {
    const { handle, seen, answer } = controlled();
    const flights = new Flights();
    const silent = flights.share("k", call(), handle);
    const telling = flights.share("k", call({ onProgress: () => {} }), handle);
    expect(seen.map(({ onProgress }) => onProgress !== undefined)).toEqual([false, true]);
    answer(0, ok("silent"));
    expect(await silent).toEqual(ok("silent"));
    const joined = flights.share("k", call(), handle);
    expect(seen).toHaveLength(2);
    answer(1, ok("telling"));
    expect(await Promise.all([telling, joined])).toEqual([ok("telling"), ok("telling")]);
  });

  it("tells each waiter that the upstream is at work", () => {
    const { handle, seen } = controlled();
    const flights = new Flights();
    let alive = 0;
    void flights.share("k", call(), handle);
    void flights.share("k", call({ onAlive: () => alive++ }), handle);
    seen[0]?.onAlive?.();
    expect(alive).toBe(1);
  });
});
