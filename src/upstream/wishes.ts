import type { Call, Handle, Result } from "../call.ts";
import { logLevels } from "../log-levels.ts";

interface Subscription {
  readonly sessions: Set<string>;
  /** Whether its server has taken it. */
  isTaken: boolean;
}

/**
 * What several sessions want of the one connection that they share. The server is told of a subscription once,
 * and of its end when the last session has left it; of log levels it is told the one that says most.
 */
export class Wishes {
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #levels = new Map<string, unknown>();
  #level: unknown;

  /** Answers a call, with what `next` answers where the server has to be told. */
  handle(call: Call, next: Handle): Promise<Result> {
    switch (call.method) {
      case "resources/subscribe":
        return this.#subscribe(call, next);
      case "resources/unsubscribe":
        return this.#unsubscribe(call, next);
      case "logging/setLevel":
        return this.#setLevel(call, next);
      default:
        return next(call);
    }
  }

  /** A session has ended. `tell` is called with what the server has to be told. */
  left(session: string, tell: (method: string, params: Call["params"]) => void): void {
    for (const [uri, { sessions }] of this.#subscriptions)
      if (sessions.delete(session) && sessions.size === 0) {
        this.#subscriptions.delete(uri);
        tell("resources/unsubscribe", { uri });
      }
    if (!this.#levels.delete(session) || this.#levels.size === 0) return;
    const level = this.#loudest();
    if (level === this.#level) return;
    this.#level = level;
    tell("logging/setLevel", { level });
  }

  async #subscribe(call: Call, next: Handle): Promise<Result> {
    const uri = String(call.params["uri"]);
    const { session } = call.caller;
    const found = this.#subscriptions.get(uri) ?? { sessions: new Set(), isTaken: false };
    this.#subscriptions.set(uri, found);
    const wasIn = found.sessions.has(session);
    found.sessions.add(session);
    if (found.isTaken) return {};
    try {
      const result = await next(call);
      found.isTaken = true;
      return result;
    } catch (error) {
      if (!wasIn) found.sessions.delete(session);
      if (found.sessions.size === 0 && this.#subscriptions.get(uri) === found)
        this.#subscriptions.delete(uri);
      throw error;
    }
  }

  #unsubscribe(call: Call, next: Handle): Promise<Result> {
    const uri = String(call.params["uri"]);
    const found = this.#subscriptions.get(uri);
    found?.sessions.delete(call.caller.session);
    if (found !== undefined && found.sessions.size > 0) return Promise.resolve({});
    this.#subscriptions.delete(uri);
    return next(call);
  }

  async #setLevel(call: Call, next: Handle): Promise<Result> {
    const { session } = call.caller;
    const { level } = call.params;
    if (!logLevels.includes(level)) return next(call);
    this.#levels.set(session, level);
    const loudest = this.#loudest();
    if (loudest === this.#level) return {};
    this.#level = loudest;
    try {
      return await next({ ...call, params: { ...call.params, level: loudest } });
    } catch (error) {
      this.#level = undefined;
      throw error;
    }
  }

  #loudest(): unknown {
    const asked = new Set(this.#levels.values());
    return logLevels.find((level) => asked.has(level));
  }
}
