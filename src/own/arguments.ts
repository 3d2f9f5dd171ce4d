import type { z } from "zod";
import type { Call } from "../call.ts";
import { valueAt } from "../config/json-value.ts";
import { showPath, showValue } from "../config/problems.ts";
import { CallError } from "../errors.ts";
import { ownName } from "./own-tools.ts";

/** Things wrong with one call's arguments that are told. */
const mostFindings = 3;

/** The arguments of one of our own tools. Throws a CallError that says what was expected, what came and where. */
export function argumentsOf<Arguments>(call: Call, expected: z.ZodType<Arguments>): Arguments {
  const given = call.params["arguments"] ?? {};
  const parsed = expected.safeParse(given);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const findings = issues.slice(0, mostFindings).map((issue) => findingOf(issue, given));
  const more = issues.length - findings.length;
  throw refused([...findings, ...(more > 0 ? [`and ${more} more`] : [])].join("; "));
}

function findingOf({ path, message }: z.core.$ZodIssue, given: unknown): string {
  const keys = path.filter((key) => typeof key !== "symbol");
  const place = showPath(["arguments", ...keys]);
  const [, expectation] = /: (expected .*?)(?:, received .*)?$/.exec(message) ?? [];
  if (expectation === undefined) return `${place}: ${message}`;
  return `${place}: ${expectation}, got ${showValue(valueAt(given, keys), keys)}`;
}

/** The refusal of a call of one of our own tools: nothing but another call helps. */
export const refused = (message: string): CallError =>
  new CallError("upstream_error", message, { outcome: "answered", upstream: ownName });
