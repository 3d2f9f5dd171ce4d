import type { Call, Middleware } from "../call.ts";
import { callKey, scopedKey, type ScopeOf } from "../canonical.ts";
import { effectOf } from "../effect.ts";
import { CallError, messageOf } from "../errors.ts";
import type { Report } from "../events.ts";
import { Flights } from "../flights.ts";
import type { CoalesceOptions } from "./coalesce-options.ts";
import type { OptionsOf } from "./options.ts";

/** What coalescing needs to know of its upstream. */
export interface CoalesceSetup {
  readonly optionsOf: OptionsOf<CoalesceOptions>;
  /** Which calls of a tool are the same; undefined: those with the same parameters. May throw. */
  readonly keyOf?: (call: Call) => string | undefined;
  /** Calls of different epochs are never the same. */
  readonly epoch: () => number;
  readonly report: Report;
  /** Default: answers are shared by all. */
  readonly scopeOf?: ScopeOf;
}

/**
 * Lets equal calls that only read share one upstream call while it is under way, or refuses the later one.
 * Rejects with `overloaded` where it refuses, with `denied` where a call's key cannot be told.
 */
export function coalesce({ optionsOf, keyOf, epoch, report, scopeOf }: CoalesceSetup): Middleware {
  const joined = (call: Call): void => report({ type: "call.coalesced", call });
  return (next) => {
    let flights = new Flights();
    let era = epoch();
    return (call) => {
      const options = optionsOf(call);
      if (options === false || !options.enabled || effectOf(call) !== "read") return next(call);
      let key: string | undefined;
      try {
        key = scopedKey(call, givenKey(call, keyOf) ?? callKey(call), scopeOf);
      } catch (error) {
        return Promise.reject(withoutKey(call, error));
      }
      if (key === undefined) return next(call);
      const now = epoch();
      if (now !== era) {
        // Nobody joins a call that began before something may have changed.
        era = now;
        flights = new Flights();
      }
      if (options.onDuplicate === "reject" && flights.has(key))
        return Promise.reject(refused(call));
      return flights.share(key, call, next, joined);
    };
  };
}

function givenKey(call: Call, keyOf: CoalesceSetup["keyOf"]): string | undefined {
  const given = keyOf?.(call);
  if (given === undefined) return undefined;
  return JSON.stringify([call.upstream, call.method, call.tool?.remoteName, given]);
}

const refused = ({ upstream, tool, method }: Call): CallError =>
  new CallError(
    "overloaded",
    `the same call of ${tool?.name ?? method} is under way, and a second one is not let in`,
    { outcome: "failed", upstream, local: true },
  );

const withoutKey = ({ upstream, tool, method }: Call, cause: unknown): CallError =>
  new CallError(
    "denied",
    `the coalescing key of ${tool?.name ?? method} cannot be told: ${messageOf(cause)}`,
    { outcome: "failed", upstream, local: true, cause },
  );
