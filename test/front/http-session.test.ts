import { describe, expect, it } from "vitest";
import { HttpSession } from "../../src/front/http-session.ts";
import { ListTexts } from "../../src/front/list-texts.ts";
import { Gateway } from "../../src/gateway.ts";
import { limits } from "../support/http-limits.ts";
import { Unread } from "../../src/front/unread.ts";
import { names } from "../support/calls.ts";
import { FakeResponse } from "../support/responses.ts";

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
  return { listen };
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
});
