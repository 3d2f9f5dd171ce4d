import { describe, expect, it } from "vitest";
import type { Call, JsonObject } from "../../src/call.ts";
import { inlineOptions, type InlineOptions } from "../../src/workflows/inline-options.ts";
import type { RunRequest, Runs } from "../../src/workflows/runs.ts";
import { Workflows, type Ask, type Workflow } from "../../src/workflows/workflows.ts";
import { call, outcomeOf } from "../support/calls.ts";
import { doorTo, programOf, type Scripted } from "../support/workflows.ts";

const usualTools = (): Record<string, Scripted> => ({
  up__read: { effect: "read" },
  up__set: { effect: "idempotent" },
  up__write: {},
});

const step = (tool: string, over: JsonObject = {}): JsonObject => ({ id: "a", tool, ...over });

interface Setting {
  readonly inline?: Partial<InlineOptions>;
  readonly answer?: "yes" | "no" | "unable";
  readonly configured?: Record<string, { kind: "chain" | "saga"; definition: JsonObject }>;
  readonly tools?: Record<string, Scripted>;
  readonly listed?: () => Promise<void>;
}

function setUp({ inline = {}, answer = "yes", configured = {}, ...setting }: Setting = {}) {
  const { tools = usualTools(), listed = () => Promise.resolve() } = setting;
  const begun: RunRequest[] = [];
  const asked: string[] = [];
  const runs = {
    start: (request: RunRequest, wait: unknown) => {
      begun.push(request);
      return Promise.resolve({ wait });
    },
  } as unknown as Runs;
  const ask: Ask = (_, message) => {
    asked.push(message);
    return Promise.resolve(answer);
  };
  const known = Object.entries(configured).map(
    ([name, { kind, definition }]): [string, Workflow] => [
      name,
      { kind, definition: programOf(definition, kind).definition },
    ],
  );
  const workflows = new Workflows(new Map(known), inlineOptions.parse(inline), {
    runs,
    door: doorTo(tools).door,
    ask,
    listed,
  });
  const run = (steps: JsonObject[], over: Partial<Call> = {}, kind: "chain" | "saga" = "chain") =>
    outcomeOf(workflows.run({ definition: { steps }, input: {} }, kind, call(over)));
  return { workflows, begun, asked, run };
}

describe("what comes with a call", () => {
  it("has a key of its own: what was begun by another definition is not its run", async () => {
    const { run, begun } = setUp();
    const over = { meta: { "holdfast/idempotency-key": "k" } };
    await run([step("up__read")], over);
    await run([step("up__read")], over);
    await run([step("up__read", { arguments: { other: true } })], over);
    const [first, again, other] = begun.map(({ key }) => key);
    expect([again === first, other === first]).toEqual([true, false]);
  });

  it("runs where config says nothing against it, and the user agrees", async () => {
    const { run, begun, asked } = setUp();
    await run([step("up__write", { arguments: { v: 1 } })]);
    expect(begun).toMatchObject([{ name: "inline", kind: "chain", event: null }]);
    expect(asked).toEqual(['A chain that the model wrote wants to call:\n- a: up__write {"v":1}']);
  });

  it.each<[Partial<InlineOptions>, string, string]>([
    [{ allow: ["up__r*"] }, "up__write", "inline.allow of config does not let up__write be used"],
    [
      { effects: ["read"] },
      "up__set",
      "inline.effects of config does not let up__set be used: its effect is idempotent",
    ],
  ])("is refused beyond %j", async (inline, tool, message) => {
    const { run, begun } = setUp({ inline });
    expect(await run([step("up__read", { id: "r" }), step(tool)])).toMatchObject({
      code: "denied",
      message: `nothing was begun: ${message}`,
    });
    expect(begun).toEqual([]);
  });

  it("is refused where only what undoes or looks is beyond the rules", async () => {
    const { run } = setUp({ inline: { allow: ["up__read", "up__set"] } });
    const compensate = { tool: "up__write" };
    expect(await run([step("up__set", { compensate })], {}, "saga")).toMatchObject({
      message: expect.stringContaining("does not let up__write be used"),
    });
  });

  it.each<[InlineOptions["consent"], "yes" | "no" | "unable", number, string | undefined]>([
    ["off", "no", 0, undefined],
    ["elicit", "yes", 1, undefined],
    ["elicit", "unable", 1, undefined],
    ["elicit", "no", 1, "the user did not agree; nothing was begun"],
    ["require", "yes", 1, undefined],
    ["require", "no", 1, "the user did not agree; nothing was begun"],
    [
      "require",
      "unable",
      1,
      'nothing was begun: inline.consent of config is "require", and this client cannot ask the user',
    ],
  ])("with consent %s and the answer %s", async (consent, answer, asks, message) => {
    const { run, asked, begun } = setUp({ inline: { consent }, answer });
    const end = await run([step("up__write")]);
    expect([asked.length, begun.length]).toEqual([asks, message === undefined ? 1 : 0]);
    if (message !== undefined) expect(end).toMatchObject({ code: "denied", message });
  });

  it("asks nobody for what only reads, and asks for what would undo a read", async () => {
    const { run, asked } = setUp();
    await run([step("up__read")]);
    expect(asked).toEqual([]);
    await run([step("up__read", { compensate: { tool: "up__write" } })], {}, "saga");
    expect(asked).toEqual([
      "A saga that the model wrote wants to call:\n- a, to undo it: up__write {}",
    ]);
  });

  it("asks for each branch, whatever the cases are called", async () => {
    const { run, asked } = setUp();
    const cases = { default: [step("up__write", { arguments: { secret: true } })] };
    await run([
      { id: "s", switch: { value: "'x'", cases, default: [step("up__set", { id: "b" })] } },
    ]);
    expect(asked[0]).toContain("a: up__write");
    expect(asked[0]).toContain("b: up__set");
  });
});

describe("what is wrong", () => {
  it("with a step that names no tool is told once", async () => {
    const { workflows } = setUp();
    const definition = { steps: [{ id: "a", tol: "up__read" }] };
    const { problems } = await workflows.plan({ definition, input: {} }, "chain");
    expect(problems).toEqual([
      'steps[0].tol: unknown key; did you mean "tool"?',
      "steps[0]: expected one of tool, steps, parallel and switch, got none",
    ]);
  });

  it("is told all at once, and nothing is begun", async () => {
    const { workflows, begun } = setUp();
    const definition = {
      inputSchema: { required: ["n"] },
      steps: [step("up__rite"), step("up__read", { id: "b" })],
    };
    const end = await outcomeOf(workflows.run({ definition, input: {} }, "saga", call()));
    const { message } = end as Error;
    expect(message).toMatch(
      /^nothing was begun: steps\[0\]\.tool: there is no tool "up__rite".*; input: must have/s,
    );
    expect(begun).toEqual([]);
  });

  it.each<[JsonObject, string]>([
    [{}, "expected either name, of a definition of config, or definition"],
    [
      { name: "x", definition: {} },
      "expected either name, of a definition of config, or definition",
    ],
    [{ name: "x" }, 'there is no chain "x"; there are one'],
  ])("with %j", async (wanted, message) => {
    const definition = { steps: [step("up__read")] };
    const { workflows } = setUp({
      configured: { one: { kind: "chain", definition }, two: { kind: "saga", definition } },
    });
    const run = workflows.run({ input: {}, ...wanted }, "chain", call());
    expect(await outcomeOf(run)).toMatchObject({ code: "denied", message });
  });

  it("is a plan's answer", async () => {
    const { workflows } = setUp();
    const wanted = { definition: { steps: [step("up__write")] }, input: {} };
    expect(await workflows.plan(wanted)).toMatchObject({ ok: false, kind: "saga", name: "inline" });
    const plan = await workflows.plan(wanted, "chain");
    expect(plan).toMatchObject({ ok: true, problems: [], steps: [{ step: "a" }] });
    expect(Object.keys(plan).toSorted()).toEqual([
      "kind",
      "name",
      "ok",
      "problems",
      "steps",
      "warnings",
    ]);
  });
});

describe("a definition of config", () => {
  const definition = {
    inputSchema: { properties: { n: { default: 3 } } },
    steps: [step("up__write", { compensate: false })],
  };
  const configured = { order: { kind: "saga" as const, definition } };

  it("runs by its name, with the input's defaults, and nobody is asked", async () => {
    const { workflows, begun, asked } = setUp({ configured, inline: { allow: [] } });
    const meta = {
      "holdfast/idempotency-key": "k",
      "holdfast/event": { type: "e" },
      "holdfast/wait-ms": 7,
    };
    const end = await workflows.run({ name: "order", input: {} }, "saga", call({ meta }));
    expect(begun).toMatchObject([
      { name: "order", input: { n: 3 }, key: "k", event: { type: "e" } },
    ]);
    expect(end).toMatchObject({ wait: { waitMs: 7 } });
    expect(asked).toEqual([]);
  });

  it("keeps apart long keys, and knows each again", async () => {
    const { workflows, begun } = setUp({ configured });
    for (const key of ["x".repeat(500), "x".repeat(500), "x".repeat(501)])
      await workflows.run(
        { name: "order", input: {} },
        "saga",
        call({ meta: { "holdfast/idempotency-key": key } }),
      );
    const [one, two, three] = begun.map(({ key }) => key);
    expect(one).toMatch(/^[0-9a-f]{64}$/);
    expect([two === one, three === one]).toEqual([true, false]);
  });

  it("waits for servers that are still being connected", async () => {
    const tools: Record<string, Scripted> = {};
    const listed = () => {
      tools["up__write"] = {};
      return Promise.resolve();
    };
    const { workflows } = setUp({ configured, tools, listed });
    expect(await workflows.plan({ name: "order", input: {} })).toMatchObject({ ok: true });
  });

  it("is told as broken where its tools do not fit", async () => {
    const { workflows } = setUp({ configured, tools: {} });
    expect(await workflows.broken()).toEqual([
      'the saga order: steps[0].tool: there is no tool "up__write"',
    ]);
  });
});
