import type { Call, Result } from "../call.ts";
import { messageOf } from "../errors.ts";
import type { Connection } from "./connection.ts";

/** What a request changes in the server's view of its client, under a key; a later one of that key replaces it. */
const keyOf = ({ method, params }: Call): string =>
  method === "logging/setLevel" ? method : `resource ${String(params["uri"])}`;

const remembered = new Set(["logging/setLevel", "resources/subscribe", "resources/unsubscribe"]);

/** What a server was told for the life of its connection, to be told again to the next: subscriptions, log level. */
export class Memory {
  readonly #calls = new Map<string, Call>();

  /** Whether the call is of a kind that is remembered. */
  static wants({ method }: Call): boolean {
    return remembered.has(method);
  }

  /** Remembers the call when it was answered well. */
  async after(call: Call, answer: Promise<Result>): Promise<Result> {
    const result = await answer;
    if (call.method === "resources/unsubscribe") this.#calls.delete(keyOf(call));
    else this.#calls.set(keyOf(call), call);
    return result;
  }

  /** Whether the server has to stay for something that it was told. */
  get holds(): boolean {
    return [...this.#calls.values()].some(({ method }) => method === "resources/subscribe");
  }

  /** Tells a new connection all of it. What it refuses is told to `onProblem`. */
  async restore(
    connection: Connection,
    timeoutMs: number,
    onProblem: (problem: string) => void,
  ): Promise<void> {
    await Promise.all(
      [...this.#calls.values()].map(({ method, params }) =>
        connection.request(method, params, timeoutMs).catch((error: unknown) => {
          onProblem(`did not take ${method} again: ${messageOf(error)}`);
        }),
      ),
    );
  }
}
