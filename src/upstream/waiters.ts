import type { Call } from "../call.ts";
import type { CallError } from "../errors.ts";
import { after, now } from "../time.ts";

interface Waiter {
  readonly admit: () => void;
  readonly refuse: (error: CallError) => void;
}

/** Calls that wait, in order, until all are let in or refused. Each leaves at its own deadline or cancel. */
export class Waiters {
  readonly #waiting = new Set<Waiter>();

  /** Waits; rejects with `tooLate()` at the call's deadline, and with the reason of its cancel. */
  wait(call: Call, tooLate: () => CallError): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiter);
        timer.clear();
        call.signal.unsubscribe(waiter.refuse);
      };
      const waiter: Waiter = {
        admit: () => {
          leave();
          resolve();
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      const timer = after(call.deadline.at - now(), () => waiter.refuse(tooLate()));
      this.#waiting.add(waiter);
      call.signal.subscribe(waiter.refuse);
    });
  }

  /** Lets the one in that has waited for longest. */
  admitOne(): void {
    const [first] = this.#waiting;
    first?.admit();
  }

  admit(): void {
    for (const waiter of this.#waiting) waiter.admit();
  }

  refuse(error: CallError): void {
    for (const waiter of this.#waiting) waiter.refuse(error);
  }
}
