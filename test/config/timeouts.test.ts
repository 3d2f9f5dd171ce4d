import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { policiesOf } from "../../src/config/server.ts";
import { completeTimeout } from "../../src/policies/timeout-options.ts";

type Timeout = Partial<Parameters<typeof completeTimeout>[0]> | false;

interface Levels {
  readonly file?: Timeout;
  readonly server?: Timeout;
  readonly tool?: Timeout;
  readonly requestTimeout?: number;
}

/** The timeouts in force for a tool, and for the rest of its server. */
function resolved({ file, server, tool, requestTimeout }: Levels) {
  const policies = (timeout: Timeout | undefined) =>
    timeout === undefined ? {} : { policies: { timeout } };
  const entry = {
    command: "x",
    ...policies(server),
    ...(requestTimeout !== undefined && { requestTimeout }),
    tools: { overrides: { t: policies(tool) } },
  };
  const text = JSON.stringify({ ...policies(file), mcpServers: { one: entry } });
  const [one] = parseConfig(text, { file: "/w/servers.json", env: {}, home: "/h" }).servers;
  if (one === undefined) throw new Error("unreachable");
  return {
    tool: policiesOf(one, "t").timeout,
    rest: policiesOf(one, "other").timeout,
    server: one.policies.timeout,
  };
}

const defaults = { attemptMs: 30_000, totalMs: 60_000, resetOnProgress: true, maxTotalMs: 600_000 };

test("the defaults hold where nothing is said", () => {
  expect(resolved({})).toEqual({ tool: defaults, rest: defaults, server: defaults });
});

test("a tool wins over its server and a server over the file, key by key", () => {
  const { tool, rest, server } = resolved({
    file: { attemptMs: 1, totalMs: 100, resetOnProgress: false },
    server: { attemptMs: 2, maxTotalMs: 200 },
    tool: { attemptMs: 3 },
  });
  const ofServer = { attemptMs: 2, totalMs: 100, resetOnProgress: false, maxTotalMs: 200 };
  expect(server).toEqual(ofServer);
  expect(rest).toEqual(ofServer);
  expect(tool).toEqual({ ...ofServer, attemptMs: 3 });
});

describe("false", () => {
  test("switches the policy off for all that is inside", () => {
    expect(resolved({ file: false })).toEqual({ tool: false, rest: false, server: false });
  });

  test("switches it off for a tool alone", () => {
    expect(resolved({ tool: false })).toEqual({ tool: false, rest: defaults, server: defaults });
  });

  test("is undone by an object further in, which starts from the defaults", () => {
    const { tool, server } = resolved({
      file: { totalMs: 7 },
      server: false,
      tool: { attemptMs: 5 },
    });
    expect(server).toBe(false);
    expect(tool).toEqual({ ...defaults, attemptMs: 5 });
  });
});

describe("requestTimeout", () => {
  test("is another name of the server's attemptMs", () => {
    expect(resolved({ file: { attemptMs: 1 }, requestTimeout: 500 }).server).toEqual({
      ...defaults,
      attemptMs: 500,
    });
  });

  test("gives way to attemptMs itself, and to false", () => {
    const both = { requestTimeout: 500, server: { attemptMs: 600 } };
    expect(resolved(both).server).toMatchObject({ attemptMs: 600 });
    expect(resolved({ requestTimeout: 500, server: false }).server).toBe(false);
  });
});

describe("times always fit each other", () => {
  test("an attempt longer than the default total makes the total longer", () => {
    expect(completeTimeout({ attemptMs: 120_000 })).toMatchObject({
      attemptMs: 120_000,
      totalMs: 120_000,
    });
  });

  test("a total longer than the default maximum makes the maximum longer", () => {
    expect(completeTimeout({ totalMs: 900_000 })).toMatchObject({
      totalMs: 900_000,
      maxTotalMs: 900_000,
    });
    expect(completeTimeout({ attemptMs: 900_000 })).toMatchObject({
      totalMs: 900_000,
      maxTotalMs: 900_000,
    });
  });

  test("a total that is given bounds the attempt", () => {
    expect(completeTimeout({ totalMs: 10_000 })).toMatchObject({
      attemptMs: 10_000,
      totalMs: 10_000,
    });
  });

  test("a maximum that is given bounds both", () => {
    expect(completeTimeout({ maxTotalMs: 5000 })).toMatchObject({
      attemptMs: 5000,
      totalMs: 5000,
      maxTotalMs: 5000,
    });
    expect(completeTimeout({ attemptMs: 90_000, maxTotalMs: 70_000 })).toMatchObject({
      attemptMs: 70_000,
      totalMs: 70_000,
    });
  });
});
