import type { Caller, Result } from "../call.ts";
import { Cancel } from "../cancel.ts";
import type { Gateway } from "../gateway.ts";
import type { Route } from "./routes.ts";
import { keyOf } from "./subscribed.ts";

interface Interest {
  holders: number;
  readonly subscribed: Promise<Result>;
}

/** Resources that clients without a session listen to: a server is told of each once, and when nobody is left. */
export class Interests {
  readonly #gateway: Gateway;
  readonly #interests = new Map<string, Interest>();

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
  }

  /** Resolves when the server has taken the subscription, with how to give it up; rejects as the server does. */
  async hold(route: Route, caller: Caller): Promise<() => void> {
    const key = keyOf(route.upstream, String(route.params["uri"]));
    const interest = this.#interests.get(key) ?? {
      holders: 0,
      subscribed: this.#send("resources/subscribe", route, caller),
    };
    this.#interests.set(key, interest);
    interest.holders++;
    const release = (): boolean => {
      const isLast = --interest.holders === 0;
      if (isLast && this.#interests.get(key) === interest) this.#interests.delete(key);
      return isLast;
    };
    try {
      await interest.subscribed;
    } catch (error) {
      release();
      throw error;
    }
    return () => {
      if (release()) this.#send("resources/unsubscribe", route, caller).catch(() => {});
    };
  }

  #send(method: string, { upstream, params }: Route, caller: Caller): Promise<Result> {
    return this.#gateway.send({ upstream, method, params, caller, signal: new Cancel() });
  }
}
