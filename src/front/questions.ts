import type { JsonObject, Result } from "../call.ts";
import { isObject } from "../wire.ts";

/** What a server asks of a client that answers with its next request. */
interface Question {
  readonly method: string;
  readonly params: JsonObject;
  readonly resolve: (answer: Result) => void;
  readonly reject: (error: Error) => void;
}

/** The questions of servers that belong to one request, until they are answered. */
export class Questions {
  readonly #open = new Map<string, Question>();
  #count = 0;

  /** How many wait for an answer. */
  get size(): number {
    return this.#open.size;
  }

  /** Resolves with the client's answer; rejects when it is refused, or `signal` is aborted. */
  ask(method: string, params: JsonObject, signal: AbortSignal): Promise<Result> {
    return new Promise((resolve, reject) => {
      const key = `question-${++this.#count}`;
      const takeBack = (): void => {
        if (this.#open.delete(key)) reject(new Error("the server took its question back"));
      };
      this.#open.set(key, { method, params, resolve, reject });
      if (signal.aborted) takeBack();
      else signal.addEventListener("abort", takeBack, { once: true });
    });
  }

  /** As they are told to the client. */
  requests(): JsonObject {
    return Object.fromEntries(
      [...this.#open].map(([key, { method, params }]) => [
        key,
        { method, params: withoutToken(params) },
      ]),
    );
  }

  /** Hands answers, by key, to those who asked. What has none of the right shape stays open. */
  answer(responses: unknown): void {
    if (!isObject(responses)) return;
    for (const [key, { method, resolve }] of this.#open) {
      const answer = responses[key];
      if (!isObject(answer) || !fits(method, answer)) continue;
      this.#open.delete(key);
      resolve(answer);
    }
  }

  /** Refuses all that are open. */
  refuse(error: Error): void {
    for (const { reject } of this.#open.values()) reject(error);
    this.#open.clear();
  }
}

/** The client could not tell progress of it. */
function withoutToken(params: JsonObject): JsonObject {
  const { _meta: meta, ...others } = params;
  if (!isObject(meta)) return params;
  const { progressToken: _, ...rest } = meta;
  return Object.keys(rest).length === 0 ? others : { ...others, _meta: rest };
}

function fits(method: string, answer: JsonObject): boolean {
  const { action, content, role, model, roots } = answer;
  switch (method) {
    case "elicitation/create":
      return (
        action === "decline" ||
        action === "cancel" ||
        (action === "accept" && (content === undefined || isObject(content)))
      );
    case "sampling/createMessage":
      return typeof role === "string" && typeof model === "string" && isContent(content);
    default:
      return Array.isArray(roots);
  }
}

const isContent = (content: unknown): boolean => isObject(content) || Array.isArray(content);
