import { PassThrough, Writable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { StdioFront } from "../../src/front/stdio.ts";
import { Gateway } from "../../src/gateway.ts";
import { Peers, PeerSlot } from "../../src/peer.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A front whose client reads only when `read` is called, and what it has read. */
function setUp() {
  const input = new PassThrough();
  const got: string[] = [];
  let read = (): void => {};
  const output = new Writable({
    highWaterMark: 1,
    write(chunk, _encoding, done) {
      got.push(...String(chunk).trim().split("\n"));
      read = done;
    },
  });
  const front = new StdioFront(new Gateway({ separator: "__", maxLength: 49 }), {
    input,
    output,
    principal: "local",
    listed: () => Promise.resolve(),
    peer: new PeerSlot(),
    peers: new Peers(),
    onProblem: () => {},
  });
  const ping = (id: number): boolean =>
    input.write(`${JSON.stringify({ jsonrpc: "2.0", id, method: "ping" })}\n`);
  const ids = () => got.map((line) => (JSON.parse(line) as { id: number }).id);
  return { input, front, ping, ids, read: () => read() };
}

const settle = () => vi.advanceTimersByTimeAsync(100);

describe("a client that does not read", () => {
  it("is noticed to go, and what it sent is answered should it read after all", async () => {
    const { input, front, ping, ids, read } = setUp();
    for (const id of [1, 2, 3]) {
      ping(id);
      await settle();
    }
    expect(ids()).toEqual([1]);
    expect(front.inFlight).toBe(2);
    input.end();
    await front.gone;
    for (let n = 0; n < 3; n++) {
      read();
      await settle();
    }
    expect(ids()).toEqual([1, 2, 3]);
    expect(front.inFlight).toBe(0);
    front.close();
  });

  it("is read ahead of by so much and no more", async () => {
    const { input, front, ping, read } = setUp();
    ping(1);
    await settle();
    const empty = Buffer.from("\n".repeat(1 << 20));
    for (let n = 0; n < 20; n++) {
      input.write(empty);
      await settle();
    }
    expect(input.isPaused()).toBe(true);
    expect(front.inFlight).toBe(17);
    read();
    await settle();
    expect(input.isPaused()).toBe(false);
    expect(front.inFlight).toBe(0);
    front.close();
  });
});
