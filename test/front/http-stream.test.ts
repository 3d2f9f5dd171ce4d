import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SentLog } from "../../src/front/http-log.ts";
import { parseEventId, SseStream } from "../../src/front/http-stream.ts";
import { FakeResponse } from "../support/responses.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const setUp = (primes = false) => {
  const log = new SentLog(1_000_000);
  return { log, stream: new SseStream(3, { log, keepAliveMs: 1000, primes: () => primes }) };
};
const line = (n: number): string => JSON.stringify({ n });
const opened = (stream: SseStream, last?: number): FakeResponse => {
  const to = new FakeResponse();
  stream.open(to.response, {}, last);
  return to;
};

describe("a stream", () => {
  it("begins with an event without data, from which it can be resumed, where the client takes one", () => {
    expect(opened(setUp(true).stream).text).toBe("id: 3-0\nretry: 1000\ndata: \n\n");
    expect(opened(setUp(false).stream).text).toBe("");
  });

  it("sends what came while nobody listened, and nothing twice", () => {
    const { stream } = setUp();
    stream.send(line(1));
    const first = opened(stream);
    stream.send(line(2));
    expect(first.events.messages).toEqual([{ n: 1 }, { n: 2 }]);
    first.destroy();
    stream.send(line(3));
    expect(opened(stream).events.messages).toEqual([{ n: 3 }]);
  });

  it("goes on after the event that the client has seen", () => {
    const { stream } = setUp();
    const first = opened(stream);
    for (const n of [1, 2, 3]) stream.send(line(n));
    const { ids } = first.events;
    const number = parseEventId(String(ids[1]))?.number;
    const second = opened(stream, number);
    expect(second.events.messages).toEqual([{ n: 3 }]);
    // There is one reader: the first was ended.
    expect(first.writableEnded).toBe(true);
    stream.send(line(4));
    expect(second.events.messages).toEqual([{ n: 3 }, { n: 4 }]);
    expect(first.events.messages).toHaveLength(3);
  });

  it("is not ended by the end of a response that it has left", () => {
    const { stream } = setUp();
    const first = opened(stream);
    const second = opened(stream);
    first.emit("close");
    stream.send(line(1));
    expect(second.events.messages).toEqual([{ n: 1 }]);
  });

  it("ends the response of a client that reads too slowly, and keeps the rest for it", () => {
    const { stream } = setUp();
    const slow = opened(stream);
    stream.send(line(1));
    slow.writableLength = 2 ** 21;
    stream.send(line(2));
    expect([slow.writableEnded, stream.isOpen]).toEqual([true, false]);
    expect(slow.events.messages).toEqual([{ n: 1 }]);
    expect(opened(stream).events.messages).toEqual([{ n: 2 }]);
  });

  it("keeps a message that is too large until the client's connection has taken it", () => {
    const { stream } = setUp();
    const huge = JSON.stringify("x".repeat(1_000_001));
    const broken = opened(stream);
    stream.send(huge);
    broken.destroy();
    const number = parseEventId(String(broken.events.ids[0]))?.number ?? 0;
    const whole = opened(stream, number - 1);
    expect(whole.events.messages).toHaveLength(1);
    whole.take();
    expect(opened(stream, number - 1).events.messages).toHaveLength(0);
  });

  it("shows that it is alive while the client reads, until it ends", () => {
    const { stream } = setUp();
    const to = opened(stream);
    vi.advanceTimersByTime(2000);
    expect(to.text).toBe(": alive\n\n: alive\n\n");
    to.writableLength = 1;
    vi.advanceTimersByTime(2000);
    expect(to.text).toBe(": alive\n\n: alive\n\n");
    stream.end();
    expect(to.writableEnded).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("keeps a message on one line that holds line breaks outside of its strings", () => {
    const { stream } = setUp();
    const to = opened(stream);
    stream.send('{"a":\r"b\\r"}');
    expect(to.text).toContain('data: {"a": "b\\r"}\n\n');
  });
});

describe("an event's id", () => {
  it.each(["", "3", "3-", "-3", "3-x", "3-1-1", "1e3-1", `1-${"9".repeat(16)}`, " 3-1"])(
    "is not %j",
    (id) => expect(parseEventId(id)).toBeUndefined(),
  );

  it("names a stream and a message", () => {
    expect(parseEventId("3-17")).toEqual({ stream: 3, number: 17 });
  });
});
