import type { Middleware } from "../call.ts";
import { asCallError } from "../errors.ts";
import type { Report } from "../events.ts";
import { now } from "../time.ts";

/** Reports how each call begins and ends. The outermost of all: what it reports is what the caller sees. */
export const observe =
  (report: Report): Middleware =>
  (next) =>
  (call) => {
    const begun = call.begun ?? now();
    report({ type: "call.started", call });
    return next(call).then(
      (result) => {
        const type = result["isError"] === true ? "call.answered" : "call.succeeded";
        report({ type, call, result, ms: now() - begun });
        return result;
      },
      (thrown: unknown) => {
        const error = asCallError(thrown, call.upstream);
        report({ type: "call.failed", call, error, ms: now() - begun });
        throw error;
      },
    );
  };
