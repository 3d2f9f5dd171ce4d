/*
 * Answers that are one client's alone: a question to it, or what came of what it was asked meanwhile. Those who
 * share a call or keep its answer look here.
 */
const personal = new WeakSet<object>();

/** Marks a result, or the error of a call, and gives it back. */
export function asPersonal<Outcome extends object>(outcome: Outcome): Outcome {
  personal.add(outcome);
  return outcome;
}

export const isPersonal = (outcome: unknown): boolean =>
  typeof outcome === "object" && outcome !== null && personal.has(outcome);
