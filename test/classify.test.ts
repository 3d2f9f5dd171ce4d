import { describe, expect, it } from "vitest";
import { classifyError, classifyResult, retryAfterIn } from "../src/classify.ts";
import { cancelled, CallError, type FailureCode, type Outcome } from "../src/errors.ts";

const error = (code: FailureCode, outcome: Outcome, more = {}): CallError =>
  new CallError(code, "it failed", { outcome, ...more });
const rpc = (code: number, message: string): CallError =>
  error("upstream_error", "answered", { rpc: { code, message } });
const says = (text: string) => ({ isError: true, content: [{ type: "text", text }] });

describe("classifyError", () => {
  it.each([
    [error("unavailable", "failed"), "transient", "unsent"],
    [error("unavailable", "failed", { status: 503 }), "transient", "unsent"],
    [error("rate_limited", "failed", { status: 429 }), "throttled", "unsent"],
    [error("timeout", "unknown"), "transient", "lost"],
    [error("connection_lost", "unknown"), "transient", "lost"],
    [error("bad_answer", "unknown"), "transient", "lost"],
    [error("upstream_error", "unknown", { status: 502 }), "transient", "lost"],
    [error("upstream_error", "failed", { status: 400 }), "none", "answered"],
    [error("denied", "failed", { status: 403 }), "none", "unsent"],
    [error("circuit_open", "failed", { local: true }), "none", "unsent"],
    [error("rate_limited", "failed", { local: true }), "none", "unsent"],
    [error("overloaded", "failed", { local: true }), "none", "unsent"],
    [error("timeout", "unknown", { local: true }), "none", "lost"],
    [cancelled("the caller went"), "none", "unsent"],
    [rpc(-32602, "Invalid arguments"), "none", "answered"],
    [rpc(-32602, "the 'request' timed out: HTTP 429"), "none", "answered"],
    [rpc(-32601, "Method unavailable"), "none", "answered"],
    [rpc(-32600, "Try again"), "none", "answered"],
    [rpc(-32700, "rate limit"), "none", "answered"],
    [rpc(-32603, "Internal error"), "permanent", "answered"],
    [rpc(-32603, "connect ECONNREFUSED 10.0.0.1"), "transient", "answered"],
    [rpc(-32000, "rate limit exceeded"), "throttled", "answered"],
  ])("%o is %s, %s", (thrown, failure, reach) => {
    expect(classifyError(thrown)).toMatchObject({ failure, reach });
  });

  it("takes an internal error of a server for one that may have done something", () => {
    expect(classifyError(rpc(-32603, "Internal error")).mayHaveHappened).toBe(true);
    expect(classifyError(rpc(-32000, "temporarily out")).mayHaveHappened).toBe(false);
  });

  it("keeps the time that the upstream asked for", () => {
    const thrown = error("rate_limited", "failed", { retryAfterMs: 7000 });
    expect(classifyError(thrown).retryAfterMs).toBe(7000);
  });
});

describe("classifyResult", () => {
  it.each([
    ["503 Service Unavailable", "transient", false],
    ["the service is temporarily overloaded", "transient", false],
    ["fetch failed: ECONNRESET", "transient", true],
    ["Request timed out", "transient", true],
    ["HTTP 502 Bad Gateway", "transient", true],
    ["connect ECONNREFUSED 127.0.0.1:80", "transient", false],
    ["GitHub API: rate limit exceeded", "throttled", false],
    ["HTTP 429 Too Many Requests", "throttled", false],
    ["HTTP 502", "transient", true],
    ["HTTP/1.1 504", "transient", true],
    ["Request failed with status code 502", "transient", true],
    ["status: 503", "transient", false],
    ['{"status":429}', "throttled", false],
    ["Error 502: the server said nothing", "transient", true],
    ["504 Gateway Timeout", "transient", true],
    ["504 Gateway Time-out", "transient", true],
    ["timeout of 5000ms exceeded", "transient", true],
    ["timeout of 5000 ms exceeded", "transient", true],
    ["the timeout was exceeded", "transient", true],
    ["Request timeout", "transient", true],
    ["TimeoutError: Navigation", "transient", true],
    ["connect ETIMEDOUT 10.0.0.1:443", "transient", true],
    ["Error: timeout", "transient", true],
    ["timeout must be a positive integer", "none", false],
    ["Argument 'timeout' must be a number", "none", false],
    ["the request timeout must be a number", "none", false],
    ["missing argument: timeout", "none", false],
    ["Ticket 429 is already closed", "none", false],
    ["Issue #502 has no assignee", "none", false],
    ["order 503: 504 pieces, 429 left", "none", false],
    ["order 404 is locked, try again", "transient", false],
    ["HTTP 400: try again", "none", false],
    ["File not found: a.txt", "none", false],
    ["404 page not found, try again", "none", false],
    ["validation failed: timeout must be a number", "none", false],
    ["403 Forbidden", "none", false],
    ["insufficient funds", "none", false],
    ["There is no such user", "none", false],
    ["something odd", "none", false],
  ])("%j is %s", (text, failure, mayHaveHappened) => {
    expect(classifyResult(says(text))).toMatchObject({ failure, mayHaveHappened });
  });

  it("takes a success for what it is, whatever its text says", () => {
    expect(classifyResult({ content: [{ type: "text", text: "rate limit" }] }).failure).toBe(
      "none",
    );
  });

  it("takes a user's patterns for transient", () => {
    const verdict = classifyResult(says("The hamster is tired"), [/hamster/i]);
    expect(verdict.failure).toBe("transient");
  });

  it("reads the time to wait out of the text", () => {
    expect(classifyResult(says("rate limit: try again in 3 seconds")).retryAfterMs).toBe(3000);
  });
});

describe("retryAfterIn", () => {
  it.each([
    ["Retry-After: 120", 120_000],
    ["retry after 2 minutes", 120_000],
    ["please wait for 1.5s", 1500],
    ['{"retry_after": 1, "retry-after": 30}', 30_000],
    ["try again in 250ms", 250],
    ["try again in 20 hours", 3_600_000],
    ["try again later", undefined],
  ])("%j is %s ms", (text, ms) => {
    expect(retryAfterIn(text)).toBe(ms);
  });
});
