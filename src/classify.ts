/*
 * What a failure is, for retry, circuit breaker and rate limit alike. The one place that knows.
 */
import type { Result } from "./call.ts";
import type { CallError } from "./errors.ts";
import { isObject } from "./wire.ts";

/**
 * - `none` no failure of the upstream: success, a tool's own no, a cancel, a local refusal, a bad argument
 * - `throttled` the upstream asks for less: it is well, and did nothing
 * - `transient` trying again may help
 * - `permanent` trying again does not help, but the upstream failed
 */
export type FailureClass = "none" | "throttled" | "transient" | "permanent";

/**
 * How far the call came.
 *
 * - `unsent` nothing was done: nothing was sent, or the transport refused before doing anything
 * - `answered` the upstream answered with an error of its own
 * - `lost` it was sent, and nobody knows
 */
type Reach = "unsent" | "answered" | "lost";

/** What a text may match. */
export interface Pattern {
  test(text: string): boolean;
}

/** A failure as the policies see it. */
export interface Verdict {
  readonly failure: FailureClass;
  readonly reach: Reach;
  /** Whether it may have had an effect. */
  readonly mayHaveHappened: boolean;
  /** Milliseconds that the upstream asks to wait. */
  readonly retryAfterMs?: number | undefined;
}

/** A status in a text, with what makes a number one: an issue may have the same. */
const statusIn = (numbers: string): string =>
  String.raw`\b(?:HTTP(?:/[\d.]+)?(?: error| status)?(?: code)?|status(?: ?code)?|error(?: code)?|responded with)[\s:="'(]{1,4}(?:${numbers})\b`;
const anyOf = (...patterns: readonly string[]): RegExp => new RegExp(patterns.join("|"), "im");

/** Texts that say that a time was over; many more name a parameter `timeout`. */
const timeouts = [
  String.raw`\btimed[ -]?out\b`,
  String.raw`\bETIMEDOUT\b`,
  String.raw`\bTimeoutError\b`,
  String.raw`\b(?:request|response|gateway|connect|connection|socket|read|network|server|query|operation) time-?out\b(?!["'\x60]?\s+(?:must|should|has|needs?|cannot|can|may|is|of|parameter|argument|option|value)\b)`,
  String.raw`\btimeout (?:(?:was|is) )?(?:exceeded|expired|reached|elapsed|occurred)\b`,
  String.raw`\btimeout of [\d.]+ ?[a-z]{0,12} (?:was )?exceeded\b`,
  String.raw`\btimeout (?:after|while|waiting|awaiting|during)\b`,
  String.raw`^(?:error: ?)?timeout[.!]?$`,
];
/** Texts of upstreams that ask for less. */
const throttledText = anyOf(
  String.raw`\brate.?limit|\btoo many requests\b|\bquota (?:was )?exceeded\b|\bslow down\b`,
  statusIn("429"),
);
/** What says that the call came through to where it may have been done. */
const doubtful = [
  ...timeouts,
  String.raw`\bECONNRESET\b|\bsocket hang up\b|\bconnection (?:was )?(?:reset|closed|lost)\b|\bbad gateway\b`,
  statusIn("50[24]"),
];
const doubtfulText = anyOf(...doubtful);
/** Texts of failures that pass. */
const transientText = anyOf(
  ...doubtful,
  String.raw`\btemporar(?:y|ily)\b|\btry again\b|\bunavailable\b|\boverloaded\b|\bECONN(?:REFUSED|ABORTED)\b|\bEAI_AGAIN\b|\bEPIPE\b|\bconnection (?:was )?refused\b|\bnetwork error\b`,
  statusIn("503"),
);
/** Texts that no repetition changes, whatever else they say. */
const permanentText = anyOf(
  String.raw`\binvalid\b|\bvalidation\b|\bbad request\b|\bunauthori[sz]ed\b|\bforbidden\b|\bpermission denied\b|\bnot found\b|\bno such\b|\binsufficient funds\b|\bbudget\b`,
  statusIn("40[0134]"),
);

/** Characters of a text that are looked at. */
const longestSearched = 2000;
const internalError = -32603;
/** JSON-RPC's codes for a request that is wrong in itself: no text makes them pass. */
const wrongRequest: readonly number[] = [-32700, -32600, -32601, -32602];

const well = (reach: Reach, mayHaveHappened = false): Verdict => ({
  failure: "none",
  reach,
  mayHaveHappened,
});

/** What a rejected call is. `patterns` are a user's own, added to what is transient. */
export function classifyError(error: CallError, patterns: readonly Pattern[] = []): Verdict {
  const { code, outcome, retryAfterMs } = error;
  const mayHaveHappened = outcome === "unknown";
  const reach = mayHaveHappened ? "lost" : "unsent";
  if (error.local) return well(reach, mayHaveHappened);
  switch (code) {
    case "rate_limited":
      return { failure: "throttled", reach: "unsent", mayHaveHappened: false, retryAfterMs };
    case "timeout":
    case "connection_lost":
    case "bad_answer":
    case "unavailable":
      return { failure: "transient", reach, mayHaveHappened, retryAfterMs };
    case "upstream_error":
      return classifyUpstreamError(error, patterns);
    default:
      return well(reach, mayHaveHappened);
  }
}

/** An upstream's own error: a JSON-RPC error, or an HTTP status. */
function classifyUpstreamError(error: CallError, patterns: readonly Pattern[]): Verdict {
  const { status = 0, rpc, outcome, retryAfterMs } = error;
  if (rpc === undefined) {
    const mayHaveHappened = outcome === "unknown";
    // A 5xx without a meaning of its own may pass; other statuses do not.
    return status >= 500
      ? { failure: "transient", reach: "lost", mayHaveHappened, retryAfterMs }
      : well(mayHaveHappened ? "lost" : "answered", mayHaveHappened);
  }
  if (wrongRequest.includes(rpc.code)) return well("answered");
  const verdict = classifyText(rpc.message, patterns);
  if (rpc.code !== internalError || verdict.failure === "throttled") return verdict;
  // The server itself failed, at whatever it was at.
  const failure = verdict.failure === "none" ? "permanent" : verdict.failure;
  return { ...verdict, failure, mayHaveHappened: true };
}

/** What a result is: an ordinary `isError` is an answer and no failure, unless its text says otherwise. */
export const classifyResult = (result: Result, patterns: readonly Pattern[] = []): Verdict =>
  result["isError"] === true ? classifyText(textOf(result), patterns) : well("answered", true);

function classifyText(text: string, patterns: readonly Pattern[]): Verdict {
  const searched = text.slice(0, longestSearched);
  const retryAfterMs = retryAfterIn(searched);
  const reach = "answered";
  if (throttledText.test(searched))
    return { failure: "throttled", reach, mayHaveHappened: false, retryAfterMs };
  const isOwn = patterns.some((pattern) => pattern.test(searched));
  if (!isOwn && (permanentText.test(searched) || !transientText.test(searched))) return well(reach);
  const mayHaveHappened = doubtfulText.test(searched);
  return { failure: "transient", reach, mayHaveHappened, retryAfterMs };
}

/** The text of a result, as far as it is text. */
export const textOf = ({ content }: Result): string =>
  Array.isArray(content)
    ? content
        .map((block: unknown) =>
          isObject(block) && typeof block["text"] === "string" ? block["text"] : "",
        )
        .join("\n")
    : "";

const longestWait = 3_600_000;
const phrase =
  /(?:retry[- ]?after|try again in|retry in|wait(?: for)?)[:\s"]*(\d+(?:\.\d+)?)\s*(milliseconds?|ms|minutes?|mins?|m|hours?|h|seconds?|secs?|s)?\b/i;

/** How long a text asks to wait, in milliseconds; at most an hour. A number without a unit is seconds. */
export function retryAfterIn(text: string): number | undefined {
  const [, amount, unit = "s"] = phrase.exec(text) ?? [];
  if (amount === undefined) return undefined;
  return Math.min(Number(amount) * unitMs(unit.toLowerCase()), longestWait);
}

function unitMs(unit: string): number {
  if (unit === "ms" || unit.startsWith("milli")) return 1;
  if (unit.startsWith("m")) return 60_000;
  return unit.startsWith("h") ? 3_600_000 : 1000;
}
