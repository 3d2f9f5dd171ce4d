import type { Call, Handle, JsonObject, Result, Tool, Upstream } from "../../src/call.ts";
import type { Shelf } from "../../src/catalog/catalog.ts";
import type { NameOptions } from "../../src/catalog/names.ts";
import { Cancel } from "../../src/cancel.ts";
import type { GatewayEvent, Report } from "../../src/events.ts";
import { noLists } from "../../src/upstream/fetch-lists.ts";

/** A tool, as the catalog makes them. */
export const tool = (over: Partial<Tool> = {}): Tool => ({
  name: "up__do",
  upstream: "up",
  remoteName: "do",
  definition: { name: "up__do", inputSchema: { type: "object" } },
  effect: "write",
  effectSource: "test",
  ...over,
});

/** A call, as the gateway makes them. */
export const call = (over: Partial<Call> = {}): Call => ({
  upstream: "up",
  method: "tools/call",
  tool: tool(),
  params: { name: "do", arguments: {} },
  caller: { principal: "local", session: "test", client: "test 1" },
  signal: new Cancel(),
  deadline: { at: Infinity, max: Infinity },
  trace: "0".repeat(32),
  ...over,
});

/** A successful result. */
export const ok = (text = "ok"): Result => ({ content: [{ type: "text", text }] });

/** What a scripted upstream does with a call: answers, fails, or does what a function says. */
type Turn = Result | Error | Handle;

/** What JSON.parse takes and JSON.stringify does not: a list in a list, and so on, under a key. */
export const deep = (): JsonObject => JSON.parse(`{"deep":${"[".repeat(9000)}${"]".repeat(9000)}}`);

/** A handle that takes the next turn for each call, and the calls that it saw. */
export function scripted(...turns: Turn[]): { handle: Handle; seen: Call[] } {
  const seen: Call[] = [];
  return {
    seen,
    handle: (received) => {
      const turn = turns[seen.length];
      seen.push(received);
      if (turn === undefined) return Promise.reject(new Error("no turn is left in the script"));
      if (turn instanceof Error) return Promise.reject(turn);
      return typeof turn === "function" ? turn(received) : Promise.resolve(turn);
    },
  };
}

/** A handle that answers only when its call is cancelled, with the reason, as a link does. */
export const untilCancelled: Handle = ({ signal }) =>
  new Promise((_, reject) => signal.subscribe(reject));

/** A Report that remembers. */
export function recorder(): { report: Report; events: GatewayEvent[]; types: () => string[] } {
  const events: GatewayEvent[] = [];
  return {
    report: (event) => void events.push(event),
    events,
    types: () => events.map(({ type }) => type),
  };
}

/** An upstream that has nothing and answers everything. */
export const upstream = (over: Partial<Upstream> = {}): Upstream => ({
  name: "up",
  lists: () => noLists,
  instructions: () => undefined,
  can: () => true,
  handle: () => Promise.resolve({}),
  notify: () => {},
  hold: () => {},
  watch: () => {},
  close: () => Promise.resolve(),
  ...over,
});

/** How an upstream is shown where config says nothing. */
export const shelf = (prefix: string): Shelf => ({
  prefix,
  trust: true,
  allow: ["*"],
  deny: [],
  overrides: new Map(),
});

export const names: NameOptions = { separator: "__", maxLength: 49 };

/** What a promise settled with, so that a rejection can be looked at. */
export const outcomeOf = <Value>(promise: Promise<Value>): Promise<Value | Error> =>
  promise.catch((error: unknown) => error as Error);
