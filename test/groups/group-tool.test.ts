import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Effect, JsonObject, Result } from "../../src/call.ts";
import { CallError } from "../../src/errors.ts";
import { group } from "../../src/groups/group-options.ts";
import { groupTool } from "../../src/groups/group-tool.ts";
import { now } from "../../src/time.ts";
import { call, ok, outcomeOf, recorder, tool } from "../support/calls.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const lost = new CallError("connection_lost", "gone", { outcome: "unknown" });
const refused = new CallError("circuit_open", "not now", { outcome: "failed", local: true });
const says = (text: string): Result => ({ isError: true, content: [{ type: "text", text }] });

interface Given {
  readonly answers: Record<string, Result | Error>;
  readonly effect?: Effect;
  readonly over?: JsonObject;
  readonly sick?: readonly string[];
  readonly providers?: readonly JsonObject[];
}

function setUp({ answers, effect = "read", over = {}, sick = [], providers }: Given) {
  const { report, events } = recorder();
  const asked: { tool: string; args: JsonObject; until: number }[] = [];
  const written = providers ?? Object.keys(answers).map((name) => ({ tool: name }));
  const made = groupTool(
    "search",
    group.parse({ description: "Search", providers: written, ...over }),
    {
      find: (name) => (name in answers ? tool({ name, effect }) : undefined),
      figures: () => ({ meanMs: undefined, successRate: undefined }),
      isHealthy: ({ name }) => Promise.resolve(!sick.includes(name)),
      call: ({ name }, args, _call, { at }) => {
        asked.push({ tool: name, args, until: at });
        const answer = answers[name];
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer ?? {});
      },
      report,
    },
  );
  if (!("answer" in made)) return expect.unreachable();
  const ask = (input: JsonObject = {}, more = {}) =>
    outcomeOf(made.answer(call({ params: { name: "search", arguments: input }, ...more })));
  const definition = () =>
    typeof made.definition === "function" ? made.definition() : made.definition;
  return { ask, asked, events, definition, tools: () => asked.map((one) => one.tool) };
}

describe("groupTool", () => {
  it("gives the first provider's result with its name, and tells who was chosen", async () => {
    const { ask, tools, events } = setUp({ answers: { a: ok("from a"), b: ok("from b") } });
    expect(await ask()).toMatchObject({ ...ok("from a"), _meta: { "holdfast/provider": "a" } });
    expect(tools()).toEqual(["a"]);
    expect(events).toMatchObject([{ type: "group.selected", provider: "a" }]);
  });

  it.each<[Effect, Result | Error, string[]]>([
    ["read", lost, ["a", "b"]],
    ["idempotent", lost, ["a"]],
    ["write", lost, ["a"]],
    ["read", refused, ["a", "b"]],
    ["idempotent", refused, ["a", "b"]],
    ["write", refused, ["a", "b"]],
    ["read", says("rate limit"), ["a", "b"]],
    ["write", says("rate limit"), ["a"]],
    ["read", says("no such city"), ["a"]],
  ])("after a %s has come to %o asks %j", async (effect, first, wanted) => {
    const { ask, tools } = setUp({ answers: { a: first, b: ok() }, effect });
    const got = await ask();
    expect(tools()).toEqual(wanted);
    expect(got).toMatchObject(
      wanted.length === 2 ? ok() : first instanceof Error ? { message: first.message } : first,
    );
  });

  it("gives the last failure where all have failed", async () => {
    const { ask } = setUp({ answers: { a: refused, b: lost } });
    expect(await ask()).toMatchObject({ code: "connection_lost" });
  });

  it("passes over who is not there or not healthy, but asks the last one all the same", async () => {
    const { ask, tools } = setUp({
      answers: { b: ok("b"), c: ok("c") },
      providers: [{ tool: "gone" }, { tool: "b" }, { tool: "c" }],
      sick: ["b", "c"],
    });
    expect(await ask()).toMatchObject(ok("c"));
    expect(tools()).toEqual(["c"]);
  });

  it("says who could not be asked where there is nobody", async () => {
    const { ask } = setUp({ answers: {}, providers: [{ tool: "x" }, { tool: "y" }] });
    expect(await ask()).toMatchObject({
      code: "unavailable",
      outcome: "failed",
      message: "none of the providers of search can be asked: x, y",
    });
  });

  it("chooses the next by the fallback strategies", async () => {
    const { ask, tools } = setUp({
      answers: { good: refused, dear: refused, cheap: ok() },
      over: { strategy: "best", fallback: ["cheapest"] },
      providers: [
        { tool: "good", reputation: 90, priceUsd: 1 },
        { tool: "dear", reputation: 80, priceUsd: 2 },
        { tool: "cheap", reputation: 10, priceUsd: 0.1 },
      ],
    });
    await ask();
    expect(tools()).toEqual(["good", "cheap"]);
  });

  it("leaves out who does not fit the group's own filter", async () => {
    const { ask, tools } = setUp({
      answers: { a: ok(), b: ok() },
      over: { capabilities: ["de"] },
      providers: [{ tool: "a" }, { tool: "b", capabilities: ["de"] }],
    });
    await ask();
    expect(tools()).toEqual(["b"]);
  });

  it("maps arguments and results", async () => {
    const { ask, asked } = setUp({
      answers: { a: { content: [], structuredContent: { items: [1, 2] } } },
      providers: [
        {
          tool: "a",
          arguments: { q: "${{ input.query }}", n: 5 },
          result: { found: "${{ result.items }}", asked: "${{ input.query }}" },
        },
      ],
    });
    expect(await ask({ query: "kelp" })).toMatchObject({
      structuredContent: { found: [1, 2], asked: "kelp" },
    });
    expect(asked[0]?.args).toEqual({ q: "kelp", n: 5 });
  });

  it.each<Effect>(["write", "idempotent"])(
    "says that a %s was done whose result cannot be mapped, and asks nobody else",
    async (effect) => {
      const { ask, tools } = setUp({
        answers: { a: ok("no JSON"), b: ok() },
        effect,
        providers: [{ tool: "a", result: "${{ result.items }}" }, { tool: "b" }],
      });
      const got = await ask();
      expect(got).toMatchObject({ code: "bad_answer", outcome: "done" });
      expect((got as Error).message).toMatch(
        /^a succeeded, but its result does not fit: .*result\.items/,
      );
      expect(tools()).toEqual(["a"]);
    },
  );

  it("asks the next one for a read whose result cannot be mapped", async () => {
    const { ask, tools } = setUp({
      answers: { a: ok("no JSON"), b: ok("b") },
      providers: [{ tool: "a", result: "${{ result.items }}" }, { tool: "b" }],
    });
    expect(await ask()).toMatchObject(ok("b"));
    expect(tools()).toEqual(["a", "b"]);
  });

  it("does not ask a provider whose arguments cannot be made, but the next one", async () => {
    const strange = { tool: "a", arguments: { q: "${{ input.no.such }}" } };
    const answers = { a: ok("a"), b: ok("b") };
    const effect = "write";
    const both = setUp({ answers, effect, providers: [strange, { tool: "b" }] });
    expect(await both.ask()).toMatchObject(ok("b"));
    expect(both.tools()).toEqual(["b"]);
    const alone = setUp({ answers, effect, providers: [strange] });
    const got = await alone.ask();
    expect(got).toMatchObject({ code: "denied", outcome: "failed", local: true });
    expect((got as Error).message).toMatch(/^a was not asked: .*input\.no\.such/);
  });

  it("gives each provider its share of the time that is left", async () => {
    const { ask, asked } = setUp({ answers: { a: refused, b: refused, c: ok() } });
    const begun = now();
    await ask({}, { deadline: { at: begun + 900, max: begun + 900 } });
    expect(asked.map(({ until }) => Math.round(until - begun))).toEqual([300, 450, 900]);
  });

  it.each<[Effect, JsonObject]>([
    ["read", { readOnlyHint: true }],
    ["idempotent", { readOnlyHint: false, idempotentHint: true }],
    ["write", { readOnlyHint: false, idempotentHint: false }],
  ])("is annotated as what all of its providers are: %s", (effect, annotations) => {
    const { definition } = setUp({ answers: { a: ok() }, effect });
    expect(definition()).toMatchObject({ name: "search", description: "Search", annotations });
  });
});
