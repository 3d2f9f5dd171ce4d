import { describe, expect, it, vi } from "vitest";
import type { JsonObject, Progress } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { CallError, cancelled } from "../../src/errors.ts";
import { Link } from "../../src/upstream/link.ts";
import { call, deep, ok, outcomeOf } from "../support/calls.ts";

const setUp = () => {
  const sent: JsonObject[] = [];
  const link = new Link("up", (message) => void sent.push(message));
  const answer = (index: number, members: JsonObject): boolean => {
    const message = { jsonrpc: "2.0", id: sent[index]?.["id"], ...members };
    return link.receive(message, JSON.stringify(message));
  };
  return { link, sent, answer };
};

describe("Link", () => {
  it("gives each call an id clear of the SDK's, and its own answer", async () => {
    const { link, sent, answer } = setUp();
    const first = link.handle(call());
    const second = link.handle(call());
    expect(sent.map(({ id }) => Number(id) >= 1e9)).toEqual([true, true]);
    answer(1, { result: ok("second") });
    answer(0, { result: ok("first") });
    expect(await first).toEqual(ok("first"));
    expect(await second).toEqual(ok("second"));
    expect(link.inFlight).toBe(0);
  });

  it("knows whose call a notification is about, for as long as the call is under way", async () => {
    const { link, sent, answer } = setUp();
    const own = call();
    const result = link.handle(own);
    const id = Number(sent[0]?.["id"]);
    const [note, late] = [{ method: "notifications/message" }, { method: "notifications/message" }];
    link.isAbout(note, id);
    answer(0, { result: ok() });
    await result;
    link.isAbout(late, id);
    expect([link.aboutOf(note), link.aboutOf(late)]).toEqual([own.caller, undefined]);
  });

  it("passes parameters and _meta as they are, and a progress token of its own only where progress is wanted", () => {
    const { link, sent } = setUp();
    void link.handle(call({ params: { name: "do", arguments: { a: [1] }, other: true } }));
    void link.handle(call({ params: { name: "do" }, meta: { "x/y": 1 } }));
    void link.handle(call({ params: { name: "do" }, meta: { "x/y": 1 }, onProgress: () => {} }));
    expect(sent.map(({ params }) => params)).toEqual([
      { name: "do", arguments: { a: [1] }, other: true },
      { name: "do", _meta: { "x/y": 1 } },
      { name: "do", _meta: { "x/y": 1, progressToken: sent[2]?.["id"] } },
    ]);
  });

  it.each([
    ["once for long", 1, 1010],
    ["often", 101, 10],
  ])("gives calls the time that it is held, %s, as it goes on", (_, times, ms) => {
    vi.useFakeTimers();
    try {
      const { link } = setUp();
      let given = 0;
      void link.handle(call({ onAlive: (laterMs) => (given += laterMs ?? NaN) }));
      let held = 0;
      for (let n = 0; n < times; n++) {
        link.hold(true);
        for (let passed = 0; passed < ms; passed += 10, held += 10) {
          expect(given).toBeGreaterThan(held + 10);
          vi.advanceTimersByTime(10);
        }
        link.hold(false);
        expect(Math.round(given)).toBe(held);
        vi.advanceTimersByTime(1000);
      }
      expect(Math.round(given)).toBe(1010);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it("gives a call that is sent while it is held what is left of that time", () => {
    vi.useFakeTimers();
    try {
      const { link } = setUp();
      let given = 0;
      link.hold(true);
      vi.advanceTimersByTime(110);
      void link.handle(call({ onAlive: (laterMs) => (given += laterMs ?? NaN) }));
      vi.advanceTimersByTime(30);
      link.hold(false);
      expect(Math.round(given)).toBe(30);
    } finally {
      vi.useRealTimers();
    }
  });

  it("hands progress to its call in order, without the token", () => {
    const { link, sent } = setUp();
    const notes: Progress[] = [];
    void link.handle(call({ onProgress: (progress) => notes.push(progress) }));
    const note = (progress: number) => {
      const params = { progressToken: sent[0]?.["id"], progress, message: `at ${progress}` };
      return link.receive({ jsonrpc: "2.0", method: "notifications/progress", params }, "");
    };
    expect([note(1), note(2)]).toEqual([true, true]);
    expect(notes).toEqual([
      { progress: 1, message: "at 1" },
      { progress: 2, message: "at 2" },
    ]);
  });

  it("tells the upstream of a cancel at once, rejects with unknown outcome, and drops the late answer", async () => {
    const { link, sent, answer } = setUp();
    const signal = new Cancel();
    const outcome = outcomeOf(link.handle(call({ signal })));
    signal.cancel(cancelled("enough"));
    expect(sent[1]).toEqual({
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: sent[0]?.["id"], reason: "enough" },
    });
    expect(await outcome).toMatchObject({ code: "cancelled", outcome: "unknown" });
    expect(answer(0, { result: ok() })).toBe(true);
    expect(link.inFlight).toBe(0);
  });

  it("suspects the upstream of being at a call that was taken back until it answers", async () => {
    const { link, answer } = setUp();
    const signal = new Cancel();
    const own = call({ signal });
    const outcome = outcomeOf(link.handle(own));
    expect([...link.suspects()]).toEqual([own.caller]);
    signal.cancel(cancelled("enough"));
    await outcome;
    expect([[...link.callers()], [...link.suspects()]]).toEqual([[], [own.caller]]);
    answer(0, { result: ok() });
    expect([...link.suspects()]).toEqual([]);
  });

  it("forgets the oldest of very many that were taken back", () => {
    const { link } = setUp();
    const signal = new Cancel();
    for (let n = 0; n <= 1000; n++) link.handle(call({ signal })).catch(() => {});
    signal.cancel(cancelled("enough"));
    expect([...link.suspects()]).toHaveLength(1000);
  });

  it("sends nothing for a call that was cancelled before", async () => {
    const { link, sent } = setUp();
    const signal = new Cancel();
    signal.cancel(cancelled("enough"));
    expect(await outcomeOf(link.handle(call({ signal })))).toMatchObject({
      code: "cancelled",
      outcome: "failed",
    });
    expect(sent).toEqual([]);
  });

  it("keeps code, message and data of an error of the upstream", async () => {
    const { link, answer } = setUp();
    const outcome = outcomeOf(link.handle(call()));
    answer(0, { error: { code: -32099, message: "MCP error -1: no", data: [1] } });
    expect(await outcome).toMatchObject({
      code: "upstream_error",
      outcome: "answered",
      rpc: { code: -32099, message: "MCP error -1: no", data: [1] },
    });
  });

  it.each<[string, JsonObject, RegExp]>([
    ["result null", { result: null }, /got result null/],
    ["a list as result", { result: [1] }, /got result \[1\]/],
    ["neither result nor error", {}, /got neither/],
    ["an error without a code", { error: { message: "x" } }, /got error/],
  ])("calls %s a bad answer", async (_, members, message) => {
    const { link, answer } = setUp();
    const outcome = outcomeOf(link.handle(call()));
    answer(0, members);
    const error = await outcome;
    expect(error).toMatchObject({ code: "bad_answer", outcome: "unknown" });
    expect((error as CallError).message).toMatch(message);
  });

  it("ends all calls under way with the connection, and refuses new ones", async () => {
    const { link, sent } = setUp();
    const outcomes = [outcomeOf(link.handle(call())), outcomeOf(link.handle(call()))];
    const about = { upstream: "up", status: 502 };
    link.end(new CallError("connection_lost", "it left", { outcome: "failed", ...about }));
    for (const error of await Promise.all(outcomes))
      expect(error).toMatchObject({ code: "connection_lost", outcome: "unknown", ...about });
    expect(await outcomeOf(link.handle(call()))).toMatchObject({ outcome: "failed" });
    expect(sent).toHaveLength(2);
  });

  it("leaves all that is not its own to others", () => {
    const { link } = setUp();
    expect(link.receive({ jsonrpc: "2.0", id: 3, result: {} }, "")).toBe(false);
    expect(link.receive({ jsonrpc: "2.0", id: "1000000000", result: {} }, "")).toBe(false);
    expect(link.receive({ jsonrpc: "2.0", id: 1, method: "roots/list" }, "")).toBe(false);
    const params = { progressToken: "theirs", progress: 1 };
    expect(link.receive({ method: "notifications/progress", params }, "")).toBe(false);
  });

  it("rejects a call that is not sent with the reason, and keeps nothing of it", async () => {
    const reason = new CallError("too_large", "nested too deep", { outcome: "failed" });
    const link = new Link("up", () => reason);
    expect(await outcomeOf(link.handle(call()))).toBe(reason);
    expect(link.inFlight).toBe(0);
  });

  it("takes an error nested too deep to be told for the bad answer that it is", async () => {
    const { link, answer } = setUp();
    const outcome = outcomeOf(link.handle(call()));
    link.receive({ id: 1_000_000_000, error: deep()["deep"] }, "");
    expect(await outcome).toMatchObject({ code: "bad_answer", outcome: "unknown" });
    expect(answer(0, { result: ok() })).toBe(true);
  });

  it("knows whose call a question belongs to, where it is told for which it came, and tells it once", async () => {
    const { link, sent, answer } = setUp();
    const caller = { principal: "p", session: "a", client: "" };
    const answered = link.handle(call({ caller }));
    const own = Number(sent[0]?.["id"]);
    link.asks("q", own);
    expect([link.askedOf("q"), link.askedOf("q")]).toEqual([caller, undefined]);
    link.asks("late", own + 1);
    expect(link.askedOf("late")).toBeUndefined();
    answer(0, { result: ok() });
    await answered;
  });
});
