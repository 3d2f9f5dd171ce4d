import type { Call, Middleware, Result } from "../call.ts";
import { Circuit, type CircuitOutcome } from "../circuit.ts";
import { classifyError, classifyResult } from "../classify.ts";
import { asCallError, CallError } from "../errors.ts";
import type { CircuitState, Report } from "../events.ts";
import { now } from "../time.ts";
import type { CircuitBreakerOptions } from "./circuit-breaker-options.ts";
import type { OptionsOf } from "./options.ts";

export interface CircuitBreakerPolicy {
  readonly upstream: string;
  /** Of the upstream as a whole. */
  readonly shared: CircuitBreakerOptions | false;
  /** Of a call's tool; the upstream's own where the tool has none. */
  readonly optionsOf: OptionsOf<CircuitBreakerOptions>;
  readonly report: Report;
}

/** A circuit as people see it. */
export interface CircuitStatus {
  /** Where it is a tool's own. */
  readonly tool?: string;
  readonly state: CircuitState;
  /** Milliseconds until it lets a probe through. */
  readonly retryAfterMs?: number;
}

/** The circuit breaker of one upstream, and what to tell of it. */
export interface CircuitBreaker {
  readonly middleware: Middleware;
  /** Its innermost part, which sees when an attempt is sent; needed where slow calls count. */
  readonly sent: Middleware;
  readonly status: () => readonly CircuitStatus[];
}

/**
 * Refuses calls at once while their upstream fails. Counted is what `classify` calls transient or permanent
 * and what reached the upstream, and what fails for one and the same cause, such as all calls under way when
 * a process ends, counts once. The upstream has one circuit; each tool has its own with `perTool`, or where
 * config gives the tool options of its own.
 */
export function circuitBreaker({
  upstream,
  shared,
  optionsOf,
  report,
}: CircuitBreakerPolicy): CircuitBreaker {
  const circuits = new Map<CircuitBreakerOptions, Map<string | undefined, Circuit>>();
  /** When the attempts under way at a call were sent: what they waited before is not the upstream's doing. */
  const sentAt = new WeakMap<Call, number>();
  let lastCause: unknown;

  /** By its options, which tools that config does not single out have in common, and where it is a tool's own, by that. */
  const circuitOf = (call: Call | undefined, options: CircuitBreakerOptions): Circuit => {
    const isOwn = options !== shared || (options.perTool && options.force !== "open");
    const tool = isOwn ? call?.tool?.name : undefined;
    let ofTools = circuits.get(options);
    if (ofTools === undefined) circuits.set(options, (ofTools = new Map()));
    let circuit = ofTools.get(tool);
    if (circuit === undefined) {
      circuit = new Circuit(options, (from, to, reason, openMs) =>
        report({
          type: "circuit.changed",
          upstream,
          from,
          to,
          reason,
          ...(tool !== undefined && { tool }),
          ...(openMs !== undefined && { openMs }),
        }),
      );
      ofTools.set(tool, circuit);
    }
    return circuit;
  };

  // Nobody has to call it first to see that it is held open.
  if (shared !== false && shared.force === "open") circuitOf(undefined, shared);

  const outcomeOfError = (error: CallError): CircuitOutcome => {
    const { failure, reach } = classifyError(error);
    if (failure === "none")
      return error.code === "upstream_error" && error.rpc !== undefined ? "success" : "ignored";
    if (failure === "throttled") return "ignored";
    // That there is no connection is known without a circuit, and ends with the next connection.
    if (reach === "unsent" && error.status === undefined) return "ignored";
    if (error.cause !== undefined && error.cause === lastCause) return "ignored";
    lastCause = error.cause;
    return "failure";
  };

  /** Milliseconds that count as the upstream's. */
  const timeOf = (call: Call, { slowCallMs }: CircuitBreakerOptions, end: number): number =>
    slowCallMs === 0 ? 0 : end - (sentAt.get(call) ?? end);

  const sent: Middleware = (next) => (call) => {
    sentAt.set(call, now());
    return next(call);
  };

  const middleware: Middleware = (next) => (call) => {
    const options = optionsOf(call);
    if (options === false) return next(call);
    const circuit = circuitOf(call, options);
    // A closed one does not look at the time.
    const generation = circuit.enter(circuit.state === "closed" ? 0 : now());
    if (generation === -1) return Promise.reject(refusal(upstream, circuit, now()));
    return next(call).then(
      (result) => {
        const end = now();
        circuit.leave(generation, outcomeOfResult(result), timeOf(call, options, end), end);
        return result;
      },
      (thrown: unknown) => {
        const error = asCallError(thrown, upstream);
        const end = now();
        circuit.leave(generation, outcomeOfError(error), timeOf(call, options, end), end);
        throw error;
      },
    );
  };

  return {
    middleware,
    sent,
    status: () =>
      [...circuits.values()].flatMap((ofTools) =>
        [...ofTools].map(([tool, circuit]) => {
          const retryAfterMs = circuit.retryAfterMs(now());
          return {
            state: circuit.state,
            ...(tool !== undefined && { tool }),
            ...(retryAfterMs !== undefined && { retryAfterMs: Math.round(retryAfterMs) }),
          };
        }),
      ),
  };
}

function outcomeOfResult(result: Result): CircuitOutcome {
  if (result["isError"] !== true) return "success";
  const { failure } = classifyResult(result);
  if (failure === "throttled") return "ignored";
  return failure === "none" ? "success" : "failure";
}

function refusal(upstream: string, circuit: Circuit, at: number): CallError {
  const retryAfterMs = circuit.retryAfterMs(at);
  const why = whyRefused(circuit, retryAfterMs);
  return new CallError("circuit_open", `${upstream} is not called for now: ${why}`, {
    outcome: "failed",
    local: true,
    upstream,
    ...(retryAfterMs !== undefined && { retryAfterMs: Math.ceil(retryAfterMs) }),
  });
}

function whyRefused(circuit: Circuit, retryAfterMs: number | undefined): string {
  if (circuit.state === "half-open") return "it is being tried out whether it works again";
  return retryAfterMs === undefined ? "config holds its circuit open" : "it has failed too often";
}
