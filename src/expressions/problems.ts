import { LimitReached, Problem } from "./error.ts";
import type { Attempt, Frame } from "./code.ts";

/** Runs `work`; a Problem that has no position yet gets this one. */
export function attempt<T>(position: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw positioned(error, position);
  }
}

/** `run` with the position of its node in its problems. */
export const at =
  (position: number, run: (frame: Frame) => unknown) =>
  (frame: Frame): unknown => {
    try {
      return run(frame);
    } catch (error) {
      throw positioned(error, position);
    }
  };

function positioned(error: unknown, position: number): unknown {
  if (!(error instanceof Problem) || error.position !== undefined) return error;
  const Same = error instanceof LimitReached ? LimitReached : Problem;
  return new Same(error.message, position, error.cause);
}

/**
 * The value of `run`, or its problem, which `&&`, `||`, `all` and `exists` forget where the rest
 * decides. A limit that is reached is thrown.
 */
export function tried(run: (frame: Frame) => unknown, frame: Frame): Attempt {
  try {
    return { value: run(frame) };
  } catch (error) {
    if (!(error instanceof Problem) || error instanceof LimitReached) throw error;
    // Making an error takes about as long as this many steps.
    frame.meter.spend(200);
    return { problem: error };
  }
}
