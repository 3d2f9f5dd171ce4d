import type { JsonObject, Result } from "../call.ts";
import type { CallError } from "../errors.ts";

/**
 * A failed call as its caller reads it: a model reads the text, a program the `_meta`.
 * The one place where a CallError becomes a result.
 */
export function failureResult(error: CallError): Result {
  const { code, outcome, retryAfterMs } = error;
  const failure: JsonObject = {
    code,
    outcome,
    message: error.message,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
  return {
    content: [{ type: "text", text: `${error.message}. ${advice(error)}` }],
    isError: true,
    _meta: { "holdfast/failure": failure },
  };
}

function advice({ outcome, retryAfterMs }: CallError): string {
  if (outcome === "unknown")
    return "It is not known whether it happened: find out before you try again.";
  if (outcome === "answered") return "The server refused; the same call will be refused again.";
  return retryAfterMs === undefined
    ? "Nothing was done."
    : `Nothing was done. Try again in ${Math.ceil(retryAfterMs / 1000)} s.`;
}
