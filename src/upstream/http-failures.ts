/*
 * What a failed HTTP request means: for its call, and for the connection.
 */
import { CallError, type FailureCode, type Outcome } from "../errors.ts";
import { settlesWithin } from "../time.ts";
import { isObject, parseMessages } from "../wire.ts";
import type { HttpTarget } from "./http-target.ts";

/** Why a request came to nothing. */
export interface HttpFailure {
  readonly error: CallError;
  /** Whether nothing else can succeed on this connection either. */
  readonly ends: boolean;
  /** The HTTP status; undefined where there was no answer at all. */
  readonly status?: number;
  /** The beginning of the answer's body, where it was looked at. */
  readonly body?: string;
}

/** Characters of a body that are read at least, characters that are shown, and milliseconds that it may take. */
const longestBody = 64 * 1024;
const longestExcerpt = 200;
const bodyPatience = 500;
/** Milliseconds that a server can ask us to stay away. */
const longestRetryAfter = 3_600_000;

/** The server is not there. Nothing was sent. */
const gone = [
  "ECONNREFUSED",
  "ENOTFOUND",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
];
/** Nothing was sent either, for reasons that may pass. */
const notSent = ["EAI_AGAIN", "EMFILE", "ENFILE", "UND_ERR_INVALID_ARG"];
const beforeSending = ["connect", "getaddrinfo", "socket"];
/** The handshake of TLS failed, so that nothing was sent. */
const tls = /^ERR_SSL_|^ERR_TLS_|CERT|^UNABLE_TO_|^HOSTNAME_MISMATCH$/;

/** Statuses with a meaning of their own. Others of 4xx: nothing was done. Others of 5xx: nobody knows. */
const meanings: Readonly<Record<number, readonly [FailureCode, Outcome]>> = {
  401: ["denied", "failed"],
  403: ["denied", "failed"],
  413: ["too_large", "failed"],
  429: ["rate_limited", "failed"],
  503: ["unavailable", "failed"],
};

/** Servers made after widespread examples say so with 400 where the specification wants 404. */
const unknownSession = /session|not initialized/i;

/** A request that was answered with nothing, not even a status. */
export function unanswered(target: HttpTarget, thrown: unknown): HttpFailure {
  // It was answered that authorisation is wanted, and there is none.
  if (thrown instanceof CallError && thrown.status !== undefined)
    return { error: thrown, ends: thrown.code === "unavailable", status: thrown.status };
  const { upstream } = target;
  const { code, syscall, message } = causeOf(thrown);
  const ends = gone.includes(code);
  const sent = !(
    ends ||
    notSent.includes(code) ||
    beforeSending.includes(syscall) ||
    tls.test(code)
  );
  const error = sent
    ? brokenOff(upstream, thrown)
    : new CallError(
        "unavailable",
        `${upstream} cannot be reached at ${target.url.origin}: ${target.mask(message)}`,
        { outcome: "failed", upstream, cause: thrown },
      );
  return { error, ends };
}

/** A request whose answer does not come any more, though it was sent. */
export const lost = (upstream: string, how: string, cause?: unknown): CallError =>
  new CallError("connection_lost", `${upstream} ${how}`, { outcome: "unknown", upstream, cause });

/** A request whose connection broke. */
export const brokenOff = (upstream: string, thrown: unknown): CallError =>
  lost(upstream, `broke off the connection: ${causeOf(thrown).message}`, thrown);

/** A request that was answered with a status of 400 or more; `session` tells whether it named a session. */
export async function refused(
  target: HttpTarget,
  response: Response,
  session: boolean,
): Promise<HttpFailure> {
  const { upstream } = target;
  const { status, headers } = response;
  const [code, outcome] = meanings[status] ?? [
    "upstream_error",
    status < 500 ? "failed" : "unknown",
  ];
  if (code === "denied" || (status === 404 && session)) {
    void response.body?.cancel().catch(() => {});
    if (status === 404) return forgotten(upstream, status);
    const words = `${upstream} refused the request with HTTP ${status}: look at the headers that config gives it`;
    return {
      error: new CallError(code, words, { outcome, upstream, status }),
      ends: false,
      status,
    };
  }
  const body = await beginningOf(response);
  const said = target.mask(messageIn(body, mediaType(headers)));
  if (status === 400 && session && unknownSession.test(said)) return forgotten(upstream, status);
  const retryAfterMs = retryAfter(headers);
  const words = `${upstream} answered with HTTP ${status}${said === "" ? "" : `: ${said}`}`;
  const error = new CallError(code, words, {
    outcome,
    upstream,
    status,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
  return { error, ends: false, status, body };
}

/** The session is over, and nothing was done. Another one can be had at once. */
const forgotten = (upstream: string, status: number): HttpFailure => ({
  error: new CallError("unavailable", `${upstream} has forgotten the session (HTTP ${status})`, {
    outcome: "failed",
    upstream,
    retryAfterMs: 0,
  }),
  ends: true,
  status,
});

/** The type of a body, in small letters, without parameters. */
export const mediaType = (headers: Headers): string =>
  (headers.get("content-type")?.split(";")[0] ?? "").trim().toLowerCase();

/** Milliseconds of a Retry-After header, which gives seconds or a date. Dates are compared with the server's own. */
function retryAfter(headers: Headers): number | undefined {
  const value = headers.get("retry-after");
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value)
    ? Number(value) * 1000
    : Date.parse(value) - Date.parse(headers.get("date") ?? new Date().toUTCString());
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), longestRetryAfter);
}

/** The beginning of a body, as far as it comes soon. What is left of it is dropped. */
async function beginningOf({ body }: Response): Promise<string> {
  const reader = body?.getReader();
  if (reader === undefined) return "";
  const decoder = new TextDecoder();
  let text = "";
  const read = async (): Promise<void> => {
    while (text.length < longestBody) {
      // oxlint-disable-next-line no-await-in-loop -- a stream is read chunk by chunk
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value as Uint8Array, { stream: true });
    }
  };
  await settlesWithin(read(), bodyPatience);
  void reader.cancel().catch(() => {});
  return text;
}

/** What a body says to people, in one line: the message of its JSON-RPC error, else the text if it is plain. */
function messageIn(body: string, type: string): string {
  const error = parseMessages(body)?.[0]?.["error"];
  const message = isObject(error) ? error["message"] : error;
  const text = typeof message === "string" ? message : type === "text/html" ? "" : body;
  return text.replace(/\s+/g, " ").trim().slice(0, longestExcerpt);
}

/** The innermost of what fetch throws: it wraps what the socket said, and that wraps one error for each address. */
function causeOf(thrown: unknown): { code: string; syscall: string; message: string } {
  let error = thrown as NodeJS.ErrnoException & { errors?: unknown[] };
  for (let inner = error.cause ?? error.errors?.[0]; inner instanceof Error;) {
    error = inner;
    inner = error.cause ?? error.errors?.[0];
  }
  const { code = "", syscall = "", message } = error;
  // Those of OpenSSL are made for its authors.
  return {
    code,
    syscall,
    message: message.startsWith("connect ") || !tls.test(code) ? message : code,
  };
}
