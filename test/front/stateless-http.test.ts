import type { IncomingMessage } from "node:http";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { StatelessHttp } from "../../src/front/stateless-http.ts";
import { Unread } from "../../src/front/unread.ts";
import { Gateway } from "../../src/gateway.ts";
import { Peers } from "../../src/peer.ts";
import { names } from "../support/calls.ts";
import { limits } from "../support/http-limits.ts";
import { FakeResponse } from "../support/responses.ts";
import { metaOf } from "../support/stateless.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** One principal that may have one request open. */
function setUp() {
  const front = new StatelessHttp(new Gateway(names), {
    limits: { ...limits, maxSessions: 1 },
    unread: new Unread(Infinity),
    listed: () => Promise.resolve(),
    peers: new Peers(),
    onProblem: () => {},
  });
  const post = (to: FakeResponse, method: string, params: JsonObject = {}): FakeResponse => {
    const headers = { "mcp-protocol-version": "2026-07-28", "mcp-method": method };
    const message = { jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: metaOf() } };
    const request = { headers } as unknown as IncomingMessage;
    front.take({ message, principal: "anna", request, response: to.response });
    return to;
  };
  return { front, post };
}
const listening = { notifications: { toolsListChanged: true } };

describe("the requests without a session of one principal by HTTP", () => {
  it("are so many at a time, until they are answered or taken back", () => {
    const { post } = setUp();
    const first = post(new FakeResponse(), "subscriptions/listen", listening);
    expect(post(new FakeResponse(), "server/discover").status).toBe(429);
    first.destroy();
    expect(post(new FakeResponse(), "server/discover").status).toBe(200);
    expect(post(new FakeResponse(), "server/discover").status).toBe(200);
  });

  it("end when it is no longer let in", () => {
    const { front, post } = setUp();
    const to = post(new FakeResponse(), "subscriptions/listen", listening);
    front.end((principal) => principal === "ben");
    expect(to.writableEnded).toBe(false);
    front.end((principal) => principal === "anna");
    expect(to.text).toContain('"resultType":"complete"');
    expect([to.writableEnded, vi.getTimerCount()]).toEqual([true, 0]);
  });

  it("leave nothing behind where the client went before they were taken", () => {
    const { post } = setUp();
    post(new FakeResponse().destroy(), "subscriptions/listen", listening);
    expect(vi.getTimerCount()).toBe(0);
    expect(post(new FakeResponse(), "server/discover").status).toBe(200);
  });
});
