import type { Call, Progress, Result } from "./call.ts";
import type { CallError } from "./errors.ts";

/** The states of an upstream. */
export type UpstreamState = "idle" | "connecting" | "ready" | "lost" | "disabled";

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
  | { readonly type: "gateway.problem"; readonly problem: string };

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
