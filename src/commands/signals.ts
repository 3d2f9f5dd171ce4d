import { Cancel } from "../cancel.ts";
import { CallError } from "../errors.ts";

/** The exit codes by which shells tell what ended a program. */
export const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** A command was ended by a signal. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly code: number;

  constructor(signal: keyof typeof exitCodes) {
    super(`ended by ${signal}`);
    this.code = exitCodes[signal];
  }
}

/**
 * Does `work`, then closes what it has opened, also where a signal comes first: then it rejects with Interrupted,
 * and what `work` was given is cancelled. Signals that come while it closes change nothing.
 */
export async function untilSignal<T>(
  work: (stop: Cancel) => Promise<T>,
  close: () => Promise<void>,
): Promise<T> {
  const stop = new Cancel();
  const interrupted = new Promise<never>((_, reject) =>
    stop.subscribe(({ cause }) => reject(cause)),
  );
  const onSignal = (signal: NodeJS.Signals): void => {
    const cause = new Interrupted(signal as keyof typeof exitCodes);
    stop.cancel(new CallError("cancelled", cause.message, { outcome: "failed", cause }));
  };
  for (const signal of Object.keys(exitCodes)) process.on(signal, onSignal);
  try {
    return await Promise.race([work(stop), interrupted]);
  } finally {
    await close();
    for (const signal of Object.keys(exitCodes)) process.off(signal, onSignal);
  }
}
