import type { Cancel } from "../cancel.ts";
import { CallError } from "../errors.ts";
import { maxMessageBytes } from "../wire.ts";
import { brokenOff, lost, mediaType, type HttpFailure } from "./http-failures.ts";
import type { Fetcher } from "./http-fetch.ts";
import { EventStream } from "./http-stream.ts";
import type { HttpTarget } from "./http-target.ts";
import { tooLarge } from "./link.ts";

/** A request that the server has accepted. */
export interface AcceptedRequest {
  readonly target: HttpTarget;
  readonly fetcher: Fetcher;
  readonly url: URL;
  /** Those that it was sent with. */
  readonly headers: Headers;
  /** Ends the wait for its answer. */
  readonly stop: Cancel;
  /** Whether a stream that breaks off can be gone on with, where its server gives a place for that. */
  readonly resumes: boolean;
  /** Takes the JSON of one message, or of several; tells whether the answer is among them. */
  readonly onMessage: (text: string) => boolean;
}

/**
 * Reads the answer to a request, and all that comes before it. Where a stream breaks off and its server
 * gave a place to go on from, it is gone on with. Resolves with the reason when the answer does not come;
 * with undefined when it has come, or was stopped.
 */
export async function readAnswer(
  request: AcceptedRequest,
  response: Response,
): Promise<HttpFailure | undefined> {
  const { target, fetcher, stop, onMessage } = request;
  const type = mediaType(response.headers);
  if (type === "text/event-stream") return readStream(request, response);
  if (type !== "application/json") {
    void response.body?.cancel().catch(() => {});
    return badAnswer(target, type === "" ? `HTTP ${response.status} and nothing else` : type);
  }
  try {
    const text = await readText(fetcher, response, maxMessageBytes);
    if (text === undefined) return { error: tooLarge(target.upstream), ends: false };
    return onMessage(text) ? undefined : badAnswer(target, "JSON that is no answer to it");
  } catch (error) {
    return stop.reason === undefined
      ? { error: brokenOff(target.upstream, error), ends: false }
      : undefined;
  }
}

async function readStream(
  request: AcceptedRequest,
  first: Response,
): Promise<HttpFailure | undefined> {
  const { target, stop } = request;
  const headers = new Headers(request.headers);
  headers.delete("content-type");
  let largest: CallError | undefined;
  const stream = new EventStream({
    ...request,
    headers,
    standing: false,
    onTooLarge() {
      largest = tooLarge(target.upstream);
      stop.cancel(largest);
    },
  });
  const failure = await stream.follow(first);
  if (largest !== undefined) return { error: largest, ends: false };
  if (failure === undefined || failure.error.outcome === "unknown") return failure;
  // What is known of the last try to go on says nothing of the request.
  const how = `broke off its answer, which could not be gone on with: ${failure.error.message}`;
  return { ...failure, error: lost(target.upstream, how, failure.error) };
}

/** A body as text; undefined where it is over `limit` bytes. */
export async function readText(
  fetcher: Fetcher,
  response: Response,
  limit: number,
): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  await fetcher.read(response, (chunk) => {
    size += chunk.length;
    chunks.push(chunk);
    return size <= limit;
  });
  return size > limit ? undefined : Buffer.concat(chunks).toString("utf8");
}

const badAnswer = ({ upstream }: HttpTarget, got: string): HttpFailure => ({
  error: new CallError(
    "bad_answer",
    `expected an answer as JSON or as a stream of events, got ${got}`,
    { outcome: "unknown", upstream },
  ),
  ends: false,
});
