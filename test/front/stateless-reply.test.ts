import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Exchange } from "../../src/front/exchange.ts";
import { StatelessReply } from "../../src/front/stateless-reply.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A response, and a request that is answered by it. */
function setUp() {
  const written = { status: 0, type: "", text: "", ended: false };
  const response = Object.assign(new EventEmitter(), {
    headersSent: false,
    destroyed: false,
    writableLength: 0,
    writeHead(status: number, headers: Record<string, string>) {
      response.headersSent = true;
      Object.assign(written, { status, type: headers["content-type"] });
    },
    flushHeaders() {},
    write: (text: string) => (written.text += text),
    end(text = "") {
      written.text += text;
      written.ended = true;
    },
  });
  const reply = new StatelessReply(response as unknown as ServerResponse, 1000);
  return { exchange: new Exchange(1, reply.write), response, written };
}

describe("the reply to a request by HTTP", () => {
  it("is JSON where nothing comes before the answer", () => {
    const { exchange, written } = setUp();
    exchange.answer("{}");
    expect(written).toEqual({ status: 200, type: "application/json", text: "{}", ended: true });
  });

  it.each([
    [-32601, 404],
    [-32602, 400],
    [-32021, 400],
    [undefined, 200],
  ])("tells a refusal by the code %j with the status %i", (code, status) => {
    const { exchange, written } = setUp();
    exchange.answer("{}", code);
    expect(written.status).toBe(status);
  });

  it("is a stream of events where something does", () => {
    const { exchange, written } = setUp();
    exchange.note('{"a":\r1}');
    exchange.answer("{}");
    expect(written).toEqual({
      status: 200,
      type: "text/event-stream",
      text: 'event: message\ndata: {"a": 1}\n\nevent: message\ndata: {}\n\n',
      ended: true,
    });
  });

  it("gives signs of life where nothing comes for long", () => {
    const { exchange, written } = setUp();
    vi.advanceTimersByTime(2500);
    expect(written).toMatchObject({ type: "text/event-stream", text: ": alive\n\n: alive\n\n" });
    exchange.answer("{}");
    vi.advanceTimersByTime(5000);
    expect(written.text).toMatch(/^(: alive\n\n){2}event: message\ndata: \{\}\n\n$/);
  });

  it("leaves notes out for a client that does not read, and no answer", () => {
    const { exchange, response, written } = setUp();
    exchange.note("1");
    response.writableLength = 2 * 1024 * 1024;
    exchange.note("2");
    exchange.answer("3");
    expect(written.text).toBe("event: message\ndata: 1\n\nevent: message\ndata: 3\n\n");
  });

  it("is nothing more when the client has gone", () => {
    const { exchange, response, written } = setUp();
    response.destroyed = true;
    response.emit("close");
    exchange.note("1");
    exchange.answer("2");
    vi.advanceTimersByTime(5000);
    expect(written.text).toBe("");
  });
});
