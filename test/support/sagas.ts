import { join } from "node:path";
import type { JsonObject } from "../../src/call.ts";
import { orderConfig, type LedgerEntry } from "./order.ts";

/** What a kind of saga comes to when nobody disturbs it, and what of it has happened then. */
export interface Variant {
  readonly name: string;
  readonly input: JsonObject;
  /** How its runs may end; `stuck` too only where the outcome of a step cannot be found out. */
  readonly ends: readonly ("completed" | "compensated" | "stuck")[];
  /** The tools of a completed run, each as often as it was called. */
  readonly effects: readonly string[];
}

const apples = [{ sku: "apple", quantity: 1 }];
const andMelons = [...apples, { sku: "melon", quantity: 1 }];
const whole = ["create_order", "charge", "reserve", "ship_order", "send"];
const three = ["create_order", "charge", "reserve"];
const given = { customer: "Ada", email: "ada@example.com" };

export const variants: readonly Variant[] = [
  { name: "shipped", input: { ...given, items: apples }, ends: ["completed"], effects: whole },
  { name: "refused", input: { ...given, items: andMelons }, ends: ["compensated"], effects: [] },
  {
    name: "blind",
    input: { ...given, items: apples },
    ends: ["completed", "stuck"],
    effects: three,
  },
  {
    name: "blind_refused",
    input: { ...given, items: andMelons },
    ends: ["compensated", "stuck"],
    effects: [],
  },
  {
    name: "again",
    input: { ...given, items: apples },
    ends: ["completed"],
    effects: ["create_order", "cancel_order"],
  },
  { name: "keyed", input: { ...given, items: apples }, ends: ["completed"], effects: three },
  { name: "pair", input: { ...given, items: apples }, ends: ["completed"], effects: three },
  {
    name: "pair_refused",
    input: { ...given, items: andMelons },
    ends: ["compensated"],
    effects: [],
  },
  {
    name: "each",
    input: { ...given, items: [...apples, { sku: "pear", quantity: 2 }, ...apples] },
    ends: ["completed"],
    effects: [
      "create_order",
      ...Array<string>(3).fill("charge"),
      ...Array<string>(3).fill("reserve"),
    ],
  },
  {
    name: "each_refused",
    input: { ...given, items: [...apples, ...apples, { sku: "melon", quantity: 1 }, ...apples] },
    ends: ["compensated"],
    effects: [],
  },
];

export function variantOf(name: string): Variant {
  const variant = variants.find((one) => one.name === name);
  if (variant === undefined) throw new Error(`there is no variant ${name}`);
  return variant;
}

/** A server whose calls can be repeated, since it knows their keys. */
export const keyedServer = "keyed";

/** Milliseconds before an effect, and before it is answered. */
interface Delays {
  readonly delayMs?: number;
  readonly delayAfterMs?: number;
}

/**
 * The order servers, and sagas over them by the names of `variants`. Each effect takes some time before it happens
 * and before it is answered, so that there are moments to be killed in.
 */
export function crashConfig(
  ledgers: string,
  { delayMs = 25, delayAfterMs = delayMs, ...more }: Delays & JsonObject = {},
): JsonObject {
  const env = { DELAY_MS: `${delayMs}`, DELAY_AFTER_MS: `${delayAfterMs}` };
  const stock = { STOCK: '{"apple":1000000,"pear":1000000,"melon":0}' };
  const config = orderConfig(ledgers, {
    orders: env,
    payments: env,
    inventory: { ...env, ...stock },
    notifications: env,
  });
  const { mcpServers, sagas } = config as {
    mcpServers: Record<string, JsonObject>;
    sagas: Record<string, { readonly steps: readonly JsonObject[] }>;
  };
  const { inputSchema, steps = [] } = (sagas["place_order"] ?? {}) as {
    inputSchema?: JsonObject;
    steps?: JsonObject[];
  };
  const payments = mcpServers["payments"] ?? {};
  const keyed = {
    ...payments,
    env: {
      ...(payments["env"] as JsonObject),
      HONOUR_KEYS: "1",
      LEDGER_DIR: join(ledgers, keyedServer),
    },
  };
  const step = (id: string, change: JsonObject = {}): JsonObject => {
    const { verify, ...rest } = steps.find((one) => one["id"] === id) ?? {};
    return { ...rest, verify, ...change };
  };
  const blind = (id: string, change: JsonObject = {}): JsonObject => {
    const { verify: _, ...rest } = step(id);
    return { ...rest, ...change };
  };
  const [order, payment, stocked] = [step("order"), step("payment"), step("stock")];
  const blindThree = [blind("order"), blind("payment"), blind("stock")];
  const pair = [order, { id: "both", parallel: [payment, stocked] }];
  const each = [
    order,
    {
      id: "all",
      forEach: { in: "${{ input.items }}", maxParallel: 2 },
      steps: [
        step("payment", { arguments: { ...args(payment), amountUsd: "${{ double(index + 1) }}" } }),
        step("stock", { arguments: { ...args(stocked), items: ["${{ item }}"] } }),
      ],
    },
  ];
  const again = [
    order,
    {
      id: "cancel",
      tool: "orders__cancel_order",
      arguments: { id: "${{ steps.order.result.id }}" },
      compensate: false,
    },
  ];
  const repeated = [
    order,
    blind("payment", {
      tool: `${keyedServer}__charge`,
      compensate: {
        tool: `${keyedServer}__refund`,
        arguments: { chargeId: "${{ result.chargeId }}" },
      },
      onUnknown: "retry",
    }),
    stocked,
  ];
  const saga = (...all: JsonObject[]): JsonObject => ({ inputSchema, steps: all });
  return {
    ...config,
    builtins: ["run_saga", "list_runs", "get_run", "cancel_run", "resume_run", "resolve_run"],
    chains: {},
    mcpServers: { ...mcpServers, [keyedServer]: keyed },
    sagas: {
      shipped: saga(...steps),
      refused: saga(...steps),
      blind: saga(...blindThree),
      blind_refused: saga(...blindThree),
      again: saga(...again),
      keyed: saga(...repeated),
      pair: saga(...pair),
      pair_refused: saga(...pair),
      each: saga(...each),
      each_refused: saga(...each),
    },
    ...more,
  };
}

const args = (step: JsonObject): JsonObject => step["arguments"] as JsonObject;

/** A run as `list_runs` and `get_run` tell of it. */
export interface RunView {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly reason?: string;
  readonly error?: unknown;
  readonly steps?: readonly { readonly step: string; readonly state: string }[];
  readonly open?: readonly { readonly step: string }[];
}

/** Which argument of a compensation says what it undoes. */
const undoneBy: Readonly<Record<string, readonly [tool: string, argument: string]>> = {
  create_order: ["cancel_order", "id"],
  charge: ["refund", "chargeId"],
  reserve: ["release", "reservationId"],
};

/** The run and the step that an effect is of, by its key. */
export function ownerOf({ idempotencyKey = "" }: LedgerEntry): { run: string; step: string } {
  const dot = idempotencyKey.indexOf(".");
  return { run: idempotencyKey.slice(0, dot), step: idempotencyKey.slice(dot + 1) };
}

/**
 * What is wrong between what the servers have done, by their ledgers, and what the gateway says of its runs; a line
 * for each. Empty where all is well. `ends`: how runs may have ended, where not as their variants say.
 */
export function accountProblems(
  ledger: readonly LedgerEntry[],
  runs: readonly RunView[],
  ends?: readonly string[],
): string[] {
  const byId = new Map(runs.map((run) => [run.id, run]));
  const isUndone = ({ id, tool }: LedgerEntry): boolean => {
    const [undo, argument = ""] = undoneBy[tool] ?? [];
    return ledger.some((other) => other.tool === undo && other.arguments[argument] === id);
  };
  const made = ledger.filter(({ tool }) => tool in undoneBy || tool === "send");
  const sent = new Map<string, number>();
  for (const entry of made)
    sent.set(
      `${entry.tool} ${entry.idempotencyKey}`,
      (sent.get(`${entry.tool} ${entry.idempotencyKey}`) ?? 0) + 1,
    );
  const doubled = [...sent].flatMap(([what, times]) =>
    times > 1 ? [`${what}: was done ${times} times`] : [],
  );
  const lost = ledger.flatMap((entry) => {
    const { run: id, step } = ownerOf(entry);
    const what = `${entry.tool} ${entry.idempotencyKey}`;
    const run = byId.get(id);
    if (run === undefined) return [`${what}: is of no run`];
    const isUndo = step.endsWith(".undo");
    if (run.state === "completed") return isUndo ? [`${what}: undone in a completed run`] : [];
    if (isUndo || isUndone(entry)) return [];
    if (run.state === "compensated") return [`${what}: the run is compensated, this is not undone`];
    const listed =
      run.open?.some((one) => one.step === step || one.step === `undo:${step}`) === true ||
      run.steps?.some((one) => one.step === step && one.state === "done") === true;
    return listed ? [] : [`${what}: the run is ${run.state}, and does not list it`];
  });
  const ended = runs.flatMap(({ id, name, state, error, open, reason = "" }) => {
    const variant = variants.find((one) => one.name === name);
    if (variant === undefined) return [];
    const expectedEnds: readonly string[] = ends ?? variant.ends;
    if (!expectedEnds.includes(state))
      return [
        `${name} ${id}: is ${state} ${reason}, expected ${expectedEnds.join(" or ")}: ${JSON.stringify(error ?? open)}`,
      ];
    if (state !== "completed") return [];
    const tools = ledger.filter((entry) => ownerOf(entry).run === id).map(({ tool }) => tool);
    const [expected, got] = [variant.effects, tools].map((list) => list.toSorted().join(" "));
    return expected === got ? [] : [`${name} ${id}: expected ${expected}, got ${got}`];
  });
  return [...doubled, ...lost, ...ended];
}
