import type { Cancel } from "../cancel.ts";
import type { CallError } from "../errors.ts";
import { after, now, type Timer } from "../time.ts";
import { eventReader } from "./http-events.ts";
import { brokenOff, lost, mediaType, refused, unanswered } from "./http-failures.ts";
import type { HttpFailure } from "./http-failures.ts";
import type { Fetcher } from "./http-fetch.ts";
import type { HttpTarget } from "./http-target.ts";

/** So many openings in a row that brought nothing are enough. */
const mostFruitless = 4;
/** Milliseconds before the opening after a fruitless one; doubles with each in a row. */
const firstDelay = 250;
/** Milliseconds from a stream's end to its next opening: at least, at most, and where the server closed it. */
const shortestPause = 100;
const longestPause = 30_000;
const pauseOnceClosed = 1000;
/** Milliseconds after which a stream was worth its opening even if nothing came. */
const longLived = 5000;

/** Milliseconds that a stream may stay open after its last message. */
const afterLast = 1000;

/** Statuses of a refusal that may pass. Others of 4xx are final. */
const passing = [409, 429];

export interface StreamOptions {
  readonly target: HttpTarget;
  readonly fetcher: Fetcher;
  readonly url: URL;
  /** Of the GET, less `Accept` and `Last-Event-ID`. */
  readonly headers: Headers;
  /** Ends it. */
  readonly stop: Cancel;
  /** Whether it goes on without end, and from nowhere: the stream for what belongs to no request. */
  readonly standing: boolean;
  /** Whether the server can go on from a place that it has given. */
  readonly resumes: boolean;
  /** Takes the JSON of one message, or of several; tells whether it was the last. */
  readonly onMessage: (text: string) => boolean;
  /** A message over the size limit, which is left out. */
  readonly onTooLarge: () => void;
}

/** How the reading of one response went. */
interface Reading {
  readonly failure: HttpFailure;
  readonly fruitful: boolean;
  /** Milliseconds to wait before the next one. */
  readonly pauseMs: number;
}

/** A stream of server-sent events that is opened with GET, again and again. */
export class EventStream {
  readonly #options: StreamOptions;
  readonly #signal: AbortSignal;
  /** The id of the last event, which is where to go on. */
  #place = "";
  #retryMs: number | undefined;
  /** Whether it was ever open. */
  opened = false;
  #complete = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#signal = options.stop.abortSignal();
  }

  /**
   * Reads it, beginning with `first` where that is open already, and opens it again when it ends or breaks.
   * Resolves with the reason when that makes no sense any more: the server refuses, gave no place to go on
   * from, or several openings in a row brought nothing. Resolves with undefined when it was stopped, and
   * when it has ended after its last message.
   */
  async follow(first?: Response): Promise<HttpFailure | undefined> {
    const { standing, stop } = this.#options;
    let response = first;
    /* oxlint-disable no-await-in-loop -- one opening after the other */
    for (let fruitless = 0; ;) {
      const found = response ?? (await this.#open());
      response = undefined;
      const { failure, fruitful, pauseMs } =
        found instanceof Response ? await this.#read(found) : notOpened(found);
      if (this.#complete || stop.reason !== undefined) return undefined;
      fruitless = fruitful ? 0 : fruitless + 1;
      if (fruitless >= mostFruitless || isFinal(failure)) return failure;
      if (this.#place === "" && !standing) return failure;
      const backOff = fruitless === 0 ? 0 : firstDelay * 2 ** (fruitless - 1);
      await pause(Math.min(Math.max(pauseMs, backOff, shortestPause), longestPause), stop);
      if (stop.reason !== undefined) return undefined;
    }
    /* oxlint-enable no-await-in-loop */
  }

  async #open(): Promise<Response | HttpFailure> {
    const { target, fetcher, url, headers, standing } = this.#options;
    const all = new Headers(headers);
    all.set("accept", "text/event-stream");
    if (this.#place !== "") all.set("last-event-id", this.#place);
    try {
      const response = await fetcher.fetch(url, { headers: all, signal: this.#signal });
      // A server that knows no GET may answer it with 404 whatever the session.
      if (response.status >= 400) return await refused(target, response, standing && this.opened);
      if (response.ok && mediaType(response.headers) === "text/event-stream") return response;
      void response.body?.cancel().catch(() => {});
      const error = lost(target.upstream, "has no stream of events");
      return { error, ends: false, status: 405 };
    } catch (error) {
      return unanswered(target, error);
    }
  }

  async #read(response: Response): Promise<Reading> {
    const { target, fetcher, stop, standing, resumes, onMessage, onTooLarge } = this.#options;
    const begun = now();
    let fruitful = false;
    let last: Timer | undefined;
    this.opened = true;
    const take = eventReader({
      onEvent: (type, data) => {
        fruitful = true;
        if (type !== "message" || !onMessage(data)) return;
        this.#complete = true;
        last ??= after(afterLast, () => stop.cancel(lost(target.upstream, "was answered")));
      },
      onId: (id) => {
        if (resumes) this.#place = id;
        if (!standing) fruitful = true;
      },
      onRetry: (ms) => (this.#retryMs = ms),
      onTooLarge,
    });
    const reading = (error: CallError, pauseMs: number): Reading => ({
      failure: { error, ends: false, status: response.status },
      fruitful: fruitful || now() - begun >= longLived,
      pauseMs: this.#retryMs ?? pauseMs,
    });
    try {
      await fetcher.read(response, take);
      return reading(lost(target.upstream, "closed its stream of events"), pauseOnceClosed);
    } catch (error) {
      return reading(brokenOff(target.upstream, error), 0);
    } finally {
      last?.clear();
    }
  }
}

const notOpened = (failure: HttpFailure): Reading => ({
  failure,
  fruitful: false,
  pauseMs: failure.error.retryAfterMs ?? 0,
});

const isFinal = ({ ends, status = 0 }: HttpFailure): boolean =>
  ends || (status >= 400 && status < 500 && !passing.includes(status));

/** Waits, but not longer than until `stop` is cancelled. */
const pause = (ms: number, stop: Cancel): Promise<void> =>
  new Promise((resolve) => {
    const wake = (): void => {
      timer.clear();
      stop.unsubscribe(wake);
      resolve();
    };
    const timer = after(ms, wake);
    stop.subscribe(wake);
  });
