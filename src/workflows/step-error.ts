import type { CallFailure } from "../call-failure.ts";
import type { FailureCode } from "../errors.ts";

/** Why a step failed. All of it is JSON. */
export interface StepError extends Omit<CallFailure, "code"> {
  /** `expression`: an expression could not be evaluated; `definition`: what came does not fit the definition. */
  readonly code: FailureCode | "expression" | "definition";
  /** The step's path in the run, such as `ship` or `items[2].reserve`. */
  readonly step: string;
  readonly tool?: string;
}

/** A step has failed, and nothing of it is in doubt but what its error says. */
export class StepFailed extends Error {
  override readonly name = "StepFailed";
  readonly error: StepError;

  constructor(error: StepError, cause?: unknown) {
    super(error.message, { cause });
    this.error = error;
  }
}

/** A run has begun as many steps, or holds as large results, as it may, which no step of it can swallow. */
export class TooMuch extends StepFailed {}

/** A step that fails before anything was sent. */
export const stepFailed = (
  step: string,
  code: StepError["code"],
  message: string,
  cause?: unknown,
): StepFailed =>
  new StepFailed({ step, code, message, outcome: "failed", isTransient: false }, cause);

/**
 * The run does not go on here, whatever onError says:
 *
 * - `cancelled` it is taken back
 * - `stuck` nobody knows how to go on
 * - `away` another process has it, or this one is leaving
 */
export class Halted extends Error {
  override readonly name = "Halted";
  readonly why: "cancelled" | "stuck" | "away";

  constructor(why: Halted["why"], message: string, cause?: unknown) {
    super(message, { cause });
    this.why = why;
  }
}
