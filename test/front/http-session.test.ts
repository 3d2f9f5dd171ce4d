import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HttpSession } from "../../src/front/http-session.ts";
import { ListTexts } from "../../src/front/list-texts.ts";
import { Gateway } from "../../src/gateway.ts";
import { limits } from "../support/http-limits.ts";
import { Unread } from "../../src/front/unread.ts";
import { names } from "../support/calls.ts";
import { FakeResponse } from "../support/responses.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp(maxInFlight: number) {
  const gateway = new Gateway(names);
  const session = new HttpSession(gateway, {
    limits: { ...limits, maxInFlight },
    principal: "local",
    listed: () => Promise.resolve(),
    texts: new ListTexts(gateway, () => {}),
    unread: new Unread(Infinity),
    onProblem: () => {},
    onEnd: () => {},
  });
  /** A stream whose client reads nothing: what was written to it stays. */
  const listen = (): FakeResponse => {
    const unread = new FakeResponse();
    unread.end = () => unread;
    session.listen("0-0", unread.response);
    return unread;
  };
  return { session, listen };
}

describe("a session by HTTP", () => {
  it("has one stream for each request it may have, and one more, as long as none is read", () => {
    const { listen } = setUp(2);
    const [first] = [listen(), listen(), listen()].map((to) => {
      expect(to.status).toBe(200);
      return to;
    });
    expect(listen().status).toBe(429);
    first?.destroy();
    expect(listen().status).toBe(200);
  });

  it("is idle when a response is written in full, or its client has gone before it was begun", () => {
    const { session, listen } = setUp(2);
    const open = listen();
    const gone = new FakeResponse();
    gone.destroy();
    session.post(
      { messages: [{ jsonrpc: "2.0", method: "notifications/x" }], isBatch: false },
      gone.response,
    );
    vi.advanceTimersByTime(10);
    expect(session.idleMs).toBe(0);
    open.destroy();
    vi.advanceTimersByTime(10);
    expect(session.idleMs).toBe(10);
  });
});
