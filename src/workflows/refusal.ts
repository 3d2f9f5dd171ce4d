import { CallError } from "../errors.ts";

/** What a call that runs something, or looks after a run, is refused with. Nothing but another call helps. */
export const refusal = (message: string): CallError =>
  new CallError("denied", message, { outcome: "answered", local: true });
