import type { Call } from "../call.ts";

/** The options of a policy in force for a call, or false where it is off. */
export type OptionsOf<Options> = (call: Call) => Options | false;
