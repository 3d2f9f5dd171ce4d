import type { Call, Handle, Middleware, Result } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { effectOf } from "../effect.ts";
import { asCallError, cancelled, type CallError } from "../errors.ts";
import type { Report } from "../events.ts";
import { ShareBudget } from "../share-budget.ts";
import { after, type Timer } from "../time.ts";
import type { HedgeOptions } from "./hedge-options.ts";
import type { OptionsOf } from "./options.ts";

export interface HedgePolicy {
  readonly optionsOf: OptionsOf<HedgeOptions>;
  readonly report: Report;
}

/**
 * Sends a read again when its answer is slow, within a budget, and takes the first answer; the others are
 * cancelled. A failure counts only when nothing else is under way.
 * After Dean and Barroso, "The Tail at Scale": https://research.google/pubs/the-tail-at-scale/
 */
export function hedge({ optionsOf, report }: HedgePolicy): Middleware {
  const budget = new ShareBudget();
  return (next) => (call) => {
    const options = optionsOf(call);
    if (options === false || !options.enabled || effectOf(call) !== "read") return next(call);
    budget.count();
    return race(next, call, options, () => {
      if (!budget.take(options.budgetRatio, options.budgetFloor)) return false;
      report({ type: "call.hedged", call });
      return true;
    });
  };
}

function race(
  next: Handle,
  call: Call,
  { afterMs, maxExtra }: HedgeOptions,
  mayHedge: () => boolean,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const underWay = new Set<Cancel>();
    let left = maxExtra;
    let timer: Timer | undefined;
    const end = (reason: CallError): void => {
      timer?.clear();
      call.signal.unsubscribe(leave);
      for (const one of underWay) one.cancel(reason);
    };
    const leave = (reason: CallError): void => {
      end(reason);
      reject(reason);
    };
    const send = (): void => {
      const signal = new Cancel();
      underWay.add(signal);
      // Each has a deadline of its own, or the progress of one would move the others'.
      next({ ...call, signal, deadline: { ...call.deadline } }).then(
        (result) => {
          underWay.delete(signal);
          end(cancelled("another call of the same was faster"));
          resolve(result);
        },
        (thrown: unknown) => {
          underWay.delete(signal);
          if (underWay.size > 0) return;
          const error = asCallError(thrown, call.upstream);
          end(error);
          reject(error);
        },
      );
      if (left-- > 0) timer = after(afterMs, () => mayHedge() && send());
    };
    call.signal.subscribe(leave);
    send();
  });
}
