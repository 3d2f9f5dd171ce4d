import { describe, expect, it } from "vitest";
import { CallError } from "../../src/errors.ts";
import type { GatewayEvent } from "../../src/events.ts";
import { logger, type LogOptions } from "../../src/observe/log.ts";
import { redactor, secretsOf } from "../../src/observe/redact.ts";
import { call, ok } from "../support/calls.ts";

const log = (over: Partial<LogOptions>, ...events: GatewayEvent[]): string[] => {
  const lines: string[] = [];
  const take = logger({
    level: "warn",
    format: "pretty",
    redact: (line) => line,
    ...over,
    write: (line) => lines.push(line),
  });
  for (const event of events) take(event);
  return lines;
};
const request = call({ params: { name: "do", arguments: { password: "hunter2hunter2" } } });
const error = new CallError("timeout", "up did not answer", { outcome: "unknown" });
const story: GatewayEvent[] = [
  { type: "call.started", call: request },
  { type: "call.progress", call: request, progress: { progress: 1, total: 2 } },
  { type: "call.succeeded", call: request, result: ok("private result"), ms: 1.23456 },
  { type: "call.answered", call: request, result: ok("private result"), ms: 2 },
  { type: "call.failed", call: request, error, ms: 3 },
  { type: "upstream.state", upstream: "up", from: "ready", to: "lost", reason: "it crashed" },
  { type: "gateway.problem", problem: "the disk is full" },
];
const text = (line: string): string => line.replace(/^\S+ /, "");

describe("logger", () => {
  it.each([
    ["debug", 7],
    ["info", 5],
    ["warn", 3],
    ["error", 1],
    ["silent", 0],
  ] as const)("at level %s writes what is of that level or above", (level, count) => {
    expect(log({ level }, ...story)).toHaveLength(count);
  });

  it("writes one line for people about each event", () => {
    expect(log({ level: "debug" }, ...story).map(text)).toEqual([
      "debug up__do started",
      "debug up__do at 1 of 2",
      "info  up__do succeeded in 1.235 ms",
      "info  up__do answered with an error of the tool in 2 ms",
      "warn  up__do failed after 3 ms (timeout, unknown): up did not answer",
      "warn  up is lost: it crashed",
      "error the disk is full",
    ]);
  });

  it("writes JSON for programs, with tool, caller, trace and duration", () => {
    const [line = ""] = log({ level: "info", format: "json" }, ...story);
    expect(JSON.parse(line)).toEqual({
      time: expect.stringMatching(/^\d{4}-/) as string,
      level: "info",
      event: "call.succeeded",
      message: "up__do succeeded in 1.235 ms",
      upstream: "up",
      tool: "up__do",
      caller: "local",
      session: "test",
      client: "test 1",
      trace: "0".repeat(32),
      ms: 1.235,
    });
  });

  it.each(["pretty", "json"] as const)("never writes arguments or results, as %s", (format) => {
    const lines = log({ level: "debug", format }, ...story).join("\n");
    expect(lines).not.toContain("hunter2");
    expect(lines).not.toContain("private result");
  });

  it.each(["pretty", "json"] as const)(
    "lets no upstream break a line or move the cursor, as %s",
    (format) => {
      const line = "one\ntwo\u001b[2Jthree\rfour";
      const [written = ""] = log(
        { level: "debug", format },
        { type: "upstream.stderr", upstream: "up", line },
      );
      // oxlint-disable-next-line no-control-regex -- these are what must not be there
      expect(written).not.toMatch(/[\u0000-\u001f]/);
    },
  );
});

describe("redactor", () => {
  it("takes secrets out, as they are and as they stand in JSON, the longest first", () => {
    const redact = redactor(["abcdef", 'abcdef"quoted', "line\nbreak"]);
    expect(redact('abcdef"quoted abcdef')).toBe("[secret] [secret]");
    expect(redact(JSON.stringify({ a: 'abcdef"quoted', b: "line\nbreak" }))).toBe(
      '{"a":"[secret]","b":"[secret]"}',
    );
  });

  it("takes values for secrets by their name, and the token of a bearer header alone too", () => {
    expect(
      secretsOf({
        API_KEY: "k-123456",
        MODE: "production",
        Authorization: "Bearer abcdefghijklmnop",
        TOKEN: "short",
      }),
    ).toEqual(["k-123456", "Bearer abcdefghijklmnop", "abcdefghijklmnop"]);
  });
});
