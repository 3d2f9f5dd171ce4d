import type { Cancel } from "../cancel.ts";
import { parseMessages } from "../wire.ts";
import type { JsonObject } from "../call.ts";
import { refused, unanswered, type HttpFailure } from "./http-failures.ts";
import type { Fetcher } from "./http-fetch.ts";
import type { HttpTarget } from "./http-target.ts";

/** Sends a request; an answer with a status of 400 or more is a failure. `inSession` tells whether it names a session. */
export async function exchange(
  fetcher: Fetcher,
  target: HttpTarget,
  url: URL,
  init: RequestInit,
  stop: Cancel,
  inSession: boolean,
): Promise<Response | HttpFailure> {
  try {
    const response = await fetcher.fetch(url, { ...init, signal: stop.abortSignal() });
    return response.status < 400 ? response : await refused(target, response, inSession);
  } catch (error) {
    return stop.reason === undefined
      ? unanswered(target, error)
      : { error: stop.reason, ends: false };
  }
}

/** Takes texts apart into messages. What is none is told once. */
export class MessageTexts {
  readonly #target: HttpTarget;
  readonly #problem: (problem: string) => void;
  #saidGarbage = false;

  constructor(target: HttpTarget, problem: (problem: string) => void) {
    this.#target = target;
    this.#problem = problem;
  }

  /** Hands on each message, with the text of it where that is on one line; gives all of them. */
  read(text: string, take: (message: JsonObject, line: string) => void): readonly JsonObject[] {
    const messages = parseMessages(text);
    if (messages === undefined) this.#ignore(text);
    // What is kept of a text has to fit on one line.
    const line = text.includes("\n") ? "" : text;
    for (const message of messages ?? []) take(message, line);
    return messages ?? [];
  }

  #ignore(text: string): void {
    if (this.#saidGarbage) return;
    this.#saidGarbage = true;
    const beginning = JSON.stringify(this.#target.mask(text.slice(0, 80)));
    this.#problem(`sends what is not JSON-RPC, which is left out: ${beginning}`);
  }
}
