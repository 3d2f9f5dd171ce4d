import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { compose, type Call, type Handle } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { cancelled } from "../../src/errors.ts";
import { deadline, timeout } from "../../src/policies/timeout.ts";
import { call, ok, outcomeOf, scripted, untilCancelled } from "../support/calls.ts";

const options = { attemptMs: 100, totalMs: 250, resetOnProgress: true, maxTotalMs: 1000 };
const wrap = (inner: Handle, over: Partial<typeof options> = {}): Handle => {
  const optionsOf = () => ({ ...options, ...over });
  return compose([deadline(optionsOf), timeout(optionsOf)], inner);
};

/** What a link does when a progress note comes. */
const progressed = (received: Call | undefined, progress: number): void => {
  received?.onAlive?.();
  received?.onProgress?.({ progress });
};

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe("timeout", () => {
  it("passes an answer in time and leaves no timer behind", async () => {
    const { handle, seen } = scripted(ok());
    expect(await wrap(handle)(call())).toEqual(ok());
    expect(seen).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends an attempt by so much later as nothing was read of its upstream", async () => {
    const { handle, seen } = scripted(untilCancelled);
    let ended = false;
    void outcomeOf(wrap(handle)(call())).then(() => (ended = true));
    await vi.advanceTimersByTimeAsync(50);
    seen[0]?.onAlive?.(400);
    seen[0]?.onAlive?.(-300);
    await vi.advanceTimersByTimeAsync(149);
    expect(ended).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).toBe(true);
  });

  it("ends an attempt at its own limit with an unknown outcome", async () => {
    const outcome = outcomeOf(wrap(untilCancelled)(call()));
    await vi.advanceTimersByTimeAsync(99);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await outcome).toMatchObject({
      code: "timeout",
      outcome: "unknown",
      message: "up did not answer within 100 ms (an attempt's time limit)",
    });
  });

  it("ends an attempt at the call's limit where that comes first", async () => {
    const outcome = outcomeOf(wrap(untilCancelled, { totalMs: 60 })(call()));
    await vi.advanceTimersByTimeAsync(60);
    expect(await outcome).toMatchObject({
      code: "timeout",
      message: expect.stringContaining("60 ms (the call's"),
    });
  });

  it("keeps an earlier deadline that the call came with", async () => {
    const at = performance.now() + 30;
    const outcome = outcomeOf(wrap(untilCancelled)(call({ deadline: { at, max: at } })));
    await vi.advanceTimersByTimeAsync(30);
    expect(await outcome).toMatchObject({ code: "timeout" });
  });

  it("tells a cancel of the caller from a timeout", async () => {
    const signal = new Cancel();
    const outcome = outcomeOf(wrap(untilCancelled)(call({ signal })));
    signal.cancel(cancelled("enough"));
    expect(await outcome).toMatchObject({ code: "cancelled", message: "enough" });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("starts an attempt's time anew at each progress note, and passes the note on", async () => {
    const { handle, seen } = scripted(untilCancelled);
    const notes: unknown[] = [];
    const request = call({ onProgress: (progress) => notes.push(progress) });
    const outcome = outcomeOf(wrap(handle)(request));
    for (let n = 1; n <= 9; n++) {
      await vi.advanceTimersByTimeAsync(90);
      progressed(seen[0], n);
    }
    expect(notes).toHaveLength(9);
    await vi.advanceTimersByTimeAsync(99);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await outcome).toMatchObject({ code: "timeout" });
  });

  it("tells of progress only what is above the last, and takes all of it as a sign of life", async () => {
    const { handle, seen } = scripted(untilCancelled);
    const notes: unknown[] = [];
    const request = call({ onProgress: ({ progress }) => notes.push(progress) });
    const outcome = outcomeOf(wrap(handle)(request));
    for (const progress of [10, 50, 1, 2, 50, 60]) {
      await vi.advanceTimersByTimeAsync(90);
      progressed(seen[0], progress);
    }
    expect(notes).toEqual([10, 50, 60]);
    await vi.advanceTimersByTimeAsync(100);
    expect(await outcome).toMatchObject({ code: "timeout" });
  });

  it("lets progress extend a call up to maxTotalMs and no further", async () => {
    const { handle, seen } = scripted(untilCancelled);
    const begun = performance.now();
    let ended = 0;
    const outcome = outcomeOf(wrap(handle)(call({ onProgress: () => {} }))).finally(
      () => (ended = performance.now() - begun),
    );
    for (let n = 1; n <= 30 && ended === 0; n++) {
      await vi.advanceTimersByTimeAsync(50);
      progressed(seen[0], n);
    }
    expect(await outcome).toMatchObject({ code: "timeout" });
    expect(ended).toBeGreaterThanOrEqual(1000);
    expect(ended).toBeLessThan(1051);
  });

  it("counts no time in which nothing was read, also where resetOnProgress is false", async () => {
    const { handle, seen } = scripted(untilCancelled);
    const answer = outcomeOf(wrap(handle, { resetOnProgress: false })(call()));
    seen[0]?.onAlive?.(50);
    await vi.advanceTimersByTimeAsync(149);
    expect(seen[0]?.signal.reason).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(await answer).toMatchObject({ code: "timeout" });
  });

  it("lets progress extend nothing where resetOnProgress is false", async () => {
    const { handle, seen } = scripted(untilCancelled);
    const outcome = outcomeOf(
      wrap(handle, { resetOnProgress: false })(call({ onProgress: () => {} })),
    );
    await vi.advanceTimersByTimeAsync(90);
    progressed(seen[0], 1);
    await vi.advanceTimersByTimeAsync(10);
    expect(await outcome).toMatchObject({ code: "timeout" });
  });

  it("does nothing where it is switched off", async () => {
    const { handle, seen } = scripted(ok());
    const request = call();
    await compose([deadline(() => false), timeout(() => false)], handle)(request);
    expect(seen[0]).toBe(request);
    expect(request.deadline.at).toBe(Infinity);
  });
});
