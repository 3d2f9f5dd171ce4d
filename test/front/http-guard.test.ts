import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Guard } from "../../src/front/http-guard.ts";
import type { Access } from "../../src/front/http-options.ts";

const guard = (over: Partial<Access> = {}): Guard =>
  new Guard({ host: "127.0.0.1", allowedHosts: [], allowedOrigins: [], tokens: [], ...over });
const token = (principal: string, text: string) => ({
  principal,
  sha256: createHash("sha256").update(text).digest(),
});
const statusOf = (given: Guard, headers: Record<string, string>): unknown => {
  const answer = given.admit(headers);
  return "status" in answer ? answer.status : answer.principal;
};

describe("on this machine alone", () => {
  it.each(["localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:8080"])(
    "%s is a name of ours",
    (host) => expect(statusOf(guard(), { host })).toBe("local"),
  );

  it.each([
    "",
    "example.com",
    "localhost.example.com",
    "127.0.0.1.example.com",
    "0.0.0.0",
    "localhost:x",
    "localhost:1:2",
    "a@localhost",
    "[::2]",
    "localhost ",
    "localhost/..",
  ])("%j is none", (host) => expect(statusOf(guard(), { host })).toBe(403));

  it("a name that config allows is served too, with its port or with any", () => {
    const open = guard({ allowedHosts: ["a.example.com", "b.example.com:80"] });
    for (const host of ["localhost", "a.example.com", "A.example.com:1", "b.example.com:80"])
      expect(statusOf(open, { host })).toBe("local");
    for (const host of ["b.example.com", "b.example.com:81", "c.example.com"])
      expect(statusOf(open, { host })).toBe(403);
  });
});

describe("beyond this machine", () => {
  const open = (over: Partial<Access> = {}): Guard =>
    guard({ host: "0.0.0.0", tokens: [token("anna", "t")], ...over });
  const authorization = "Bearer t";

  it("any Host is served, unless config names some", () => {
    expect(statusOf(open(), { host: "a.example.com", authorization })).toBe("anna");
    const named = open({ allowedHosts: ["a.example.com"] });
    expect(statusOf(named, { host: "a.example.com", authorization })).toBe("anna");
    expect(statusOf(named, { host: "localhost", authorization })).toBe(403);
  });

  it("nobody is let in where config has no tokens", () => {
    expect(statusOf(open({ tokens: [] }), { host: "a.example.com", authorization })).toBe(401);
    expect(open({ tokens: [] }).knows("local")).toBe(false);
  });

  it("no page is let in that config does not name, not even one of this machine", () => {
    const host = "a.example.com";
    for (const origin of ["http://localhost:1", "https://a.example.com"])
      expect(statusOf(open(), { host, origin, authorization })).toBe(403);
    const named = open({ allowedOrigins: ["https://a.example.com"] });
    expect(statusOf(named, { host, origin: "https://a.example.com", authorization })).toBe("anna");
  });
});

describe("a token", () => {
  const two = guard({ tokens: [token("anna", "one"), token("ben", "two")] });
  const host = "localhost";

  it("says who asks", () => {
    expect(statusOf(two, { host, authorization: "Bearer one" })).toBe("anna");
    expect(statusOf(two, { host, authorization: "bearer  two " })).toBe("ben");
  });

  it.each([undefined, "", "one", "Basic one", "Bearer", "Bearer three", "Bearer one two"])(
    "is not %j",
    (authorization) =>
      expect(statusOf(two, { host, ...(authorization !== undefined && { authorization }) })).toBe(
        401,
      ),
  );

  it("that is wrong is told to a page that may read the answer", () => {
    const origin = "https://a.example.com";
    const open = guard({ tokens: [token("anna", "one")], allowedOrigins: [origin] });
    expect(open.admit({ host, origin })).toMatchObject({
      status: 401,
      headers: {
        "www-authenticate": 'Bearer realm="holdfast"',
        "access-control-allow-origin": origin,
      },
    });
  });
});

describe("a page of an allowed origin", () => {
  it("may send the headers of the protocol, and those that tools name for their arguments", () => {
    const origin = "https://a.example.com";
    const asked = guard({ allowedOrigins: [origin] }).preflight({
      host: "localhost",
      origin,
      "access-control-request-headers": "content-type, Mcp-Param-Region, x-other, mcp-param-a b",
    });
    expect(asked?.["access-control-allow-headers"]).toMatch(/mcp-session-id, Mcp-Param-Region$/);
  });
});
