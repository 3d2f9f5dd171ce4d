import type { Call, Caller, Progress, Result } from "./call.ts";
import type { CallError } from "./errors.ts";

/** The states of an upstream. */
export type UpstreamState = "idle" | "connecting" | "ready" | "lost" | "disabled";

/** The states of a circuit breaker. */
export type CircuitState = "closed" | "open" | "half-open";

/** A run of a chain or a saga. */
export interface RunInfo {
  readonly id: string;
  /** Of the definition. */
  readonly name: string;
  readonly kind: "chain" | "saga";
  readonly caller: Caller;
  readonly trace: string;
}

/** Everything that Holdfast has to tell. Times are milliseconds. */
export type GatewayEvent =
  | { readonly type: "call.started"; readonly call: Call }
  | { readonly type: "call.progress"; readonly call: Call; readonly progress: Progress }
  | {
      readonly type: "call.succeeded";
      readonly call: Call;
      readonly result: Result;
      readonly ms: number;
    }
  /** The tool itself said no (`isError`). */
  | {
      readonly type: "call.answered";
      readonly call: Call;
      readonly result: Result;
      readonly ms: number;
    }
  | {
      readonly type: "call.failed";
      readonly call: Call;
      readonly error: CallError;
      readonly ms: number;
    }
  /** Another attempt follows, `delayMs` from now. */
  | {
      readonly type: "call.retried";
      readonly call: Call;
      /** The number of the attempt that failed, from 1. */
      readonly attempt: number;
      readonly delayMs: number;
      readonly reason: string;
    }
  /** A call waited for its turn before it was sent. */
  | {
      readonly type: "call.waited";
      readonly call: Call;
      readonly queue: "rateLimit" | "bulkhead";
      readonly ms: number;
    }
  /** A second call of the same went out, since the first took long. */
  | { readonly type: "call.hedged"; readonly call: Call }
  /** The call shares the upstream call of another. */
  | { readonly type: "call.coalesced"; readonly call: Call }
  | { readonly type: "cache.hit"; readonly call: Call; readonly stale: boolean }
  | { readonly type: "cache.missed"; readonly call: Call }
  | {
      readonly type: "circuit.changed";
      readonly upstream: string;
      /** The exposed name, where each tool has a circuit of its own. */
      readonly tool?: string;
      readonly from: CircuitState;
      readonly to: CircuitState;
      readonly reason: string;
      /** Milliseconds until it lets a probe through. */
      readonly openMs?: number;
    }
  /** So much of a budget is spent. */
  | {
      readonly type: "budget.alert";
      /** Who shares the budget: `all`, `server NAME` or `tool SERVER NAME`. */
      readonly account: string;
      readonly budget: "call" | "session" | "day";
      readonly spentUsd: number;
      readonly limitUsd: number;
    }
  /** A group sends a call to one of its providers. */
  | { readonly type: "group.selected"; readonly call: Call; readonly provider: string }
  | { readonly type: "run.started"; readonly run: RunInfo }
  | {
      readonly type: "run.step";
      readonly run: RunInfo;
      /** The step's path in the run. */
      readonly step: string;
      readonly tool: string;
      readonly phase: "started" | "succeeded" | "failed" | "unknown" | "undone" | "undo_failed";
      readonly error?: string;
    }
  /** A run has ended, or is stuck: then it waits for a person. */
  | {
      readonly type: "run.ended";
      readonly run: RunInfo;
      readonly state: "completed" | "failed" | "compensated" | "stuck";
      readonly ms: number;
      readonly error?: string;
    }
  | {
      readonly type: "upstream.state";
      readonly upstream: string;
      readonly from: UpstreamState;
      readonly to: UpstreamState;
      readonly reason?: string;
    }
  /** Something to know about an upstream that goes on all the same. */
  | { readonly type: "upstream.problem"; readonly upstream: string; readonly problem: string }
  /** A line that an upstream wrote to its stderr. */
  | { readonly type: "upstream.stderr"; readonly upstream: string; readonly line: string }
  /** A tool was changed or left out, so that clients can use the rest. */
  | {
      readonly type: "catalog.tool_problem";
      readonly upstream: string;
      readonly tool: string;
      readonly problem: string;
    }
  | { readonly type: "config.problem"; readonly problem: string }
  | { readonly type: "config.reloaded"; readonly file: string }
  | { readonly type: "gateway.problem"; readonly problem: string }
  /** Something went wrong with events on their way: with a sink, a subscription or the audit file. */
  | { readonly type: "event.problem"; readonly problem: string };

/** Tells an event. Never throws. */
export type Report = (event: GatewayEvent) => void;

/** One Report for many subscribers. One that throws hurts neither the others nor the call. */
export const broadcast =
  (subscribers: readonly Report[]): Report =>
  (event) => {
    for (const subscriber of subscribers)
      try {
        subscriber(event);
      } catch {
        // A subscriber's own defect: there is nobody left to tell.
      }
  };
