import { describe, expect, it } from "vitest";
import { eventReader } from "../../src/upstream/http-events.ts";

const setUp = (limit?: number) => {
  const events: (readonly [string, string])[] = [];
  const ids: string[] = [];
  const retries: number[] = [];
  let tooLarge = 0;
  const take = eventReader(
    {
      onEvent: (type, data) => events.push([type, data]),
      onId: (id) => ids.push(id),
      onRetry: (ms) => retries.push(ms),
      onTooLarge: () => tooLarge++,
    },
    limit,
  );
  const feed = (text: string): void => take(new TextEncoder().encode(text));
  return { events, ids, retries, feed, tooLarge: () => tooLarge };
};

describe("eventReader", () => {
  it.each([
    ["LF", "\n"],
    ["CR LF", "\r\n"],
  ])("reads events whose lines end in %s, cut anywhere", (_, end) => {
    const lines = ["event: endpoint", "data: /a", "", ": ping", "", "data:é€😀", "data: two", ""];
    const bytes = new TextEncoder().encode(lines.map((line) => line + end).join(""));
    for (let size = 1; size <= bytes.length; size++) {
      const events: (readonly [string, string])[] = [];
      const take = eventReader({
        onEvent: (type, data) => events.push([type, data]),
        onTooLarge: () => expect.unreachable(),
      });
      for (let at = 0; at < bytes.length; at += size) take(bytes.subarray(at, at + size));
      expect(events).toEqual([
        ["endpoint", "/a"],
        ["message", "é€😀\ntwo"],
      ]);
    }
  });

  it("tells the id of every event, with data or without, and the time to wait", () => {
    const { events, ids, retries, feed } = setUp();
    feed("id: 1\ndata:\n\nid: 2\n\nid: bad\0\ndata: x\n\nretry: 250\nretry: soon\n\n");
    expect(ids).toEqual(["1", "2"]);
    expect(events).toEqual([["message", "x"]]);
    expect(retries).toEqual([250]);
  });

  it("leaves out an event that never ends, comments, unknown fields and a byte order mark", () => {
    const { events, feed } = setUp();
    feed("\uFEFFdata: 1\n\n: comment\nother: x\nnonsense\ndata: 2\n\ndata: 3\n");
    expect(events).toEqual([
      ["message", "1"],
      ["message", "2"],
    ]);
  });

  it("keeps nothing of an event over the limit, says so once, and goes on with the next", () => {
    const { events, ids, feed, tooLarge } = setUp(40);
    feed(`id: 7\ndata: ${"x".repeat(20)}\ndata: ${"y".repeat(20)}`);
    feed(`${"y".repeat(100)}\ndata: z\n`);
    feed("\r\ndata: small\n\n");
    expect(tooLarge()).toBe(1);
    expect(ids).toEqual(["7"]);
    expect(events).toEqual([["message", "small"]]);
  });
});
