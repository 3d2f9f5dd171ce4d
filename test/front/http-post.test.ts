import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SentLog } from "../../src/front/http-log.ts";
import { PostReply } from "../../src/front/http-post.ts";
import { SseStream } from "../../src/front/http-stream.ts";
import { FakeResponse } from "../support/responses.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp(ids: number[], isBatch = false) {
  const to = new FakeResponse();
  const done = vi.fn();
  const log = new SentLog(1_000_000);
  const streams: SseStream[] = [];
  const reply = new PostReply({
    response: to.response,
    ids,
    isBatch,
    headers: () => ({ "mcp-session-id": "s" }),
    stream: () => {
      const stream = new SseStream(1, { log, keepAliveMs: 1e6, primes: () => false });
      streams.push(stream);
      return stream;
    },
    done,
  });
  return { to, reply, done, streams, log };
}
const answer = (id: number): string => JSON.stringify({ id, result: {} });
const note = JSON.stringify({ method: "notifications/progress" });

describe("the reply to a POST", () => {
  it("is JSON where the answer is the first thing that comes, and soon", () => {
    const { to, reply, done } = setUp([1]);
    vi.advanceTimersByTime(400);
    reply.answer(1, answer(1));
    expect([to.status, to.text]).toEqual([200, answer(1)]);
    expect(to.headers).toMatchObject({
      "content-type": "application/json",
      "mcp-session-id": "s",
    });
    expect(done).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is a stream where something comes before the answer, and ends with it", () => {
    const { to, reply } = setUp([1]);
    expect(reply.message(note)).toBe(true);
    expect([to.headers["content-type"], to.writableEnded]).toEqual(["text/event-stream", false]);
    reply.answer(1, answer(1));
    expect(to.events.messages).toEqual([JSON.parse(note), JSON.parse(answer(1))]);
    expect(to.writableEnded).toBe(true);
  });

  it("is a stream where the answer takes its time, so that it can be resumed", () => {
    const { to, streams } = setUp([1]);
    vi.advanceTimersByTime(500);
    expect([to.headers["content-type"], streams.length]).toEqual(["text/event-stream", 1]);
  });

  it("to a batch is a list of all answers, or a stream with what had come until then", () => {
    const quick = setUp([1, 2], true);
    quick.reply.answer(2, answer(2));
    expect(quick.to.headersSent).toBe(false);
    quick.reply.answer(1, answer(1));
    expect(quick.to.text).toBe(`[${answer(2)},${answer(1)}]`);
    const slow = setUp([1, 2], true);
    slow.reply.answer(2, answer(2));
    vi.advanceTimersByTime(500);
    slow.reply.answer(1, answer(1));
    expect(slow.to.events.messages).toEqual([JSON.parse(answer(2)), JSON.parse(answer(1))]);
    expect(slow.to.writableEnded).toBe(true);
  });

  it("to a request that was taken back says no more than that it was taken", () => {
    const quick = setUp([1]);
    quick.reply.answer(1, undefined);
    expect([quick.to.status, quick.to.text]).toEqual([202, ""]);
    const slow = setUp([1]);
    slow.reply.message(note);
    slow.reply.answer(1, undefined);
    expect(slow.to.events.messages).toEqual([JSON.parse(note)]);
    expect(slow.to.writableEnded).toBe(true);
  });

  it("cannot be had by a client that went before it knew of a stream", () => {
    const { to, reply, streams, done } = setUp([1]);
    to.destroy();
    expect(vi.getTimerCount()).toBe(0);
    expect(reply.message(note)).toBe(false);
    reply.answer(1, answer(1));
    expect([to.text, streams.length]).toEqual(["", 0]);
    expect(done).toHaveBeenCalledOnce();
  });

  it("is kept for a client that went later", () => {
    const { to, reply, log } = setUp([1]);
    reply.message(note);
    to.destroy();
    reply.answer(1, answer(1));
    expect(log.after(1, 0).map(({ line }) => line)).toEqual([note, answer(1)]);
  });

  it("says that its session is gone when that ends", () => {
    const { to, reply } = setUp([1]);
    reply.end();
    expect([to.status, JSON.parse(to.text)]).toMatchObject([404, { id: 1, error: {} }]);
    const begun = setUp([1]);
    begun.reply.message(note);
    begun.reply.end();
    expect(begun.to.events.messages).toEqual([JSON.parse(note)]);
    expect(begun.to.writableEnded).toBe(true);
  });
});
