import type { Call, Middleware } from "../call.ts";
import type { Report } from "../events.ts";
import type { OptionsOf } from "./options.ts";
import { observe } from "./observe.ts";
import { ready } from "./ready.ts";
import type { TimeoutOptions } from "./timeout-options.ts";
import { deadline, timeout } from "./timeout.ts";

/** What the stack of one upstream needs to know of it. */
export interface StackOptions {
  readonly report: Report;
  readonly untilReady: (call: Call) => Promise<void> | undefined;
  readonly timeout: OptionsOf<TimeoutOptions>;
}

/**
 * The middlewares of one upstream, outermost first. The order is the meaning:
 * what is observed is what the caller sees; the total time covers all that follows; the wait for a
 * connection uses the total time, and an attempt's time starts when the call can be sent.
 */
export const stack = (options: StackOptions): readonly Middleware[] => [
  observe(options.report),
  deadline(options.timeout),
  ready(options.untilReady),
  timeout(options.timeout),
];
