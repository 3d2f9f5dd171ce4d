import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Parked } from "../../src/front/parked.ts";
import { deep } from "../support/calls.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const waiting = (upstream: string, params = {}) => ({
  method: "tools/call",
  params,
  route: { upstream },
  expire: vi.fn<() => void>(),
});

describe("requests that wait for their client", () => {
  it("make room at their server by the oldest of them, and at that server alone", () => {
    const parked = new Parked(2);
    const elsewhere = waiting("b");
    parked.keep(elsewhere);
    const all = [waiting("a"), waiting("a"), waiting("a")];
    const states = all.map((request) => parked.keep(request) ?? "");
    expect(all.map(({ expire }) => expire.mock.calls.length)).toEqual([1, 0, 0]);
    expect(elsewhere.expire).not.toHaveBeenCalled();
    expect(states.map((state) => parked.take(state, "tools/call", {}))).toEqual([
      undefined,
      all[1],
      all[2],
    ]);
    vi.advanceTimersByTime(700_000);
    expect(all.map(({ expire }) => expire.mock.calls.length)).toEqual([1, 0, 0]);
  });

  it("leave room for those of other clients, by whoever has most of them there", () => {
    const neighbours = new Set<Parked<ReturnType<typeof waiting>>>();
    const [anna, ben] = [new Parked(3, neighbours), new Parked(3, neighbours)];
    const annas = [waiting("a"), waiting("a"), waiting("a")];
    for (const request of annas) anna.keep(request);
    const bens = [waiting("a"), waiting("a"), waiting("a")];
    for (const request of bens) ben.keep(request);
    const ended = [...annas, ...bens].map(({ expire }) => expire.mock.calls.length);
    expect(ended).toEqual([1, 1, 0, 1, 0, 0]);
  });

  it("are so many at most", () => {
    const parked = new Parked(Infinity);
    for (let n = 0; n < 1000; n++) expect(parked.keep(waiting("a"))).toBeDefined();
    expect(parked.keep(waiting("a"))).toBeUndefined();
    parked.close();
    expect(parked.keep(waiting("a"))).toBeDefined();
  });

  it("are none whose parameters cannot be compared", () => {
    expect(new Parked(9).keep(waiting("a", { arguments: deep() }))).toBeUndefined();
  });

  it("are compared without what comes with a repeat alone", () => {
    const parked = new Parked(9);
    const request = waiting("a", { name: "x", _meta: { a: 1 } });
    const state = parked.keep(request) ?? "";
    const repeat = { name: "x", _meta: { b: 2 }, inputResponses: {}, requestState: state };
    expect(parked.take(state, "prompts/get", repeat)).toBeUndefined();
    expect(parked.take(state, "tools/call", repeat)).toBe(request);
  });
});
