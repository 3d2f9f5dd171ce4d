import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { Events } from "../../src/bus/events.ts";
import { eventsOptions } from "../../src/bus/events-options.ts";
import type { Door } from "../../src/bus/runs.ts";
import type { Result } from "../../src/call.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { GatewayEvent } from "../../src/events.ts";
import { call, ok, tool } from "../support/calls.ts";

const tools = new Map([
  ["up__do", tool()],
  ["holdfast__c", tool({ name: "holdfast__c", upstream: "holdfast", remoteName: "c" })],
]);

function setUp({
  passive = false,
  mayRun = (): string | undefined => undefined,
  answer = (): Promise<Result> => Promise.resolve(ok()),
} = {}) {
  const reported: GatewayEvent[] = [];
  const called: string[] = [];
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- all of it that is used
  const door = {
    catalog: { tools },
    findTool: (name: string) => tools.get(name),
    callTool: ({ name }: { name: string }) => {
      called.push(name);
      return answer();
    },
  } as unknown as Door;
  const report = (event: GatewayEvent): void => {
    reported.push(event);
    events.take(event);
  };
  const events = new Events({ door, report, redact: (text) => text, mayRun, passive });
  const apply = (options: object): void => events.apply(eventsOptions.parse(options));
  return { events, apply, called, reported };
}

const lead = { on: "lead", run: { tool: "up__do" } };
const { caller } = call();

describe("what config says of events", () => {
  it("has the paths of its files from the root, and leaves expressions alone", () => {
    const { events } = parseConfig(
      JSON.stringify({
        mcpServers: {},
        events: {
          audit: { file: "a.jsonl" },
          sinks: [{ type: "file", path: "~/b.jsonl" }],
          subscriptions: [
            { on: "x", run: { tool: "t", arguments: { to: "${{ event.data.email }}" } } },
          ],
        },
      }),
      { file: "/w/servers.json", env: {}, home: "/h" },
    );
    expect(events).toMatchObject({
      audit: { file: "/w/a.jsonl", types: ["*"], maxBytes: 104_857_600 },
      sinks: [{ path: "/h/b.jsonl", batchSize: 100, flushMs: 30_000, maxBuffered: 10_000 }],
      subscriptions: [
        { run: { arguments: { to: "${{ event.data.email }}" } }, maxConcurrent: 4, maxQueue: 1000 },
      ],
    });
  });

  it("is told where it names tools that are not there", () => {
    const { events, apply } = setUp();
    apply({
      subscriptions: [
        lead,
        { on: "a", run: { tool: "gone" } },
        { on: "b", run: { chain: "c" } },
        { on: "c", run: { saga: "s" } },
      ],
      sinks: [{ type: "tool", tool: "no_sink" }],
    });
    expect(events.references({ tools })).toEqual([
      "events: the subscription of a: gone is not there",
      "events: the subscription of c: the saga s is not there",
      "events: the sink no_sink: there is no such tool",
    ]);
  });

  it("starts and writes nothing where it is only looked at", async () => {
    const { events, apply, called } = setUp({ passive: true });
    apply({ subscriptions: [lead], audit: { file: "/no/such/audit.jsonl" } });
    expect(await events.publish("lead", 1, 1, call())).toMatchObject({ told: 0 });
    await events.drain();
    await events.close();
    expect(called).toEqual([]);
  });

  it("can change: what stays goes on as it is, what goes hears no more", async () => {
    const { events, apply } = setUp();
    apply({ subscriptions: [lead] });
    await events.publish("lead", 1, 1, call());
    apply({ subscriptions: [{ ...lead, on: "other" }, lead] });
    await events.publish("lead", 2, 1, call());
    expect(events.status()).toMatchObject({
      subscriptions: [
        { on: "other", done: 0 },
        { on: "lead", done: 2 },
      ],
    });
    apply({});
    expect(await events.publish("lead", 3, 1, call())).toMatchObject({ told: 0 });
    const query = { since: -Infinity, limit: 10, principal: "local" };
    expect(events.query(query).events.map(({ data }) => data)).toEqual([1, 2, 3]);
  });
});

describe("the end", () => {
  it("leaves nothing out of the audit, whatever comes of the sinks", async () => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-events-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "audit.jsonl");
    const { events, apply, reported } = setUp({
      answer: async () => {
        await Promise.resolve();
        events.take({ type: "gateway.problem", problem: "a call failed" });
        throw new Error("there is no server any more");
      },
    });
    apply({
      audit: { file },
      sinks: [
        { type: "tool", tool: "up__do", types: ["lead"] },
        { type: "file", path: folder, types: ["lead"] },
      ],
    });
    await events.publish("lead", 1, 1, call());
    await events.drain();
    await events.close();
    const problems = reported.flatMap((event) => ("problem" in event ? event.problem : []));
    expect(problems.filter((problem) => problem.includes("lost"))).toEqual([
      "the tool up__do: 1 events could not be handed over and are lost",
      `the file ${folder}: 1 events could not be handed over and are lost`,
    ]);
    const written = readFileSync(file, "utf8").trim().split("\n");
    const told = written.map((line) => JSON.parse(line) as { type: string; data: unknown });
    expect(told.map(({ type }) => type)).toEqual([
      "lead",
      "gateway.problem",
      ...problems.map(() => "event.problem"),
    ]);
  });
});

describe("subscriptions of callers", () => {
  const options = eventsOptions.parse({ subscriptions: [lead] }).subscriptions[0]!;

  it("belong to their principal, and are bounded", async () => {
    const { events } = setUp();
    const id = events.subscribe(options, caller) ?? "";
    expect(events.unsubscribe(id, { ...caller, principal: "other" })).toBe(false);
    expect(await events.publish("lead", 1, 1, call())).toMatchObject({ told: 1, failed: 0 });
    const other = call({ caller: { ...caller, principal: "other" } });
    expect(await events.publish("lead", 1, 1, other)).toMatchObject({ told: 0 });
    for (let n = 1; n < 100; n++) expect(events.subscribe(options, caller)).toBeDefined();
    expect(events.subscribe(options, caller)).toBeUndefined();
    expect(events.subscribe(options, other.caller)).toBeDefined();
    expect(events.unsubscribe(id, caller)).toBe(true);
    expect(events.subscribe(options, caller)).toBeDefined();
  });

  it("may start what the rules for their callers allow", () => {
    expect(setUp().events.mayStart({ tool: "up__do" }, caller)).toBeUndefined();
    expect(setUp().events.mayStart({ chain: "c" }, caller)).toBeUndefined();
    expect(setUp().events.mayStart({ tool: "gone" }, caller)).toBe("gone is not there");
    const { events } = setUp({ mayRun: () => "no writes" });
    expect(events.mayStart({ tool: "up__do" }, caller)).toBe("no writes");
  });
});
