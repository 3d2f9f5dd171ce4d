import type { JsonObject, Result } from "../call.ts";
import { asCallError } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { isWanted } from "../log-levels.ts";

/** Asks a server on behalf of the client. */
type Ask = (upstream: string, method: string, params: JsonObject) => Promise<Result>;

/** The log level that one client has set, and who was told. */
export class ClientLevel {
  readonly #gateway: Gateway;
  readonly #ask: Ask;
  readonly #told = new Set<string>();
  #level: unknown;

  constructor(gateway: Gateway, ask: Ask) {
    this.#gateway = gateway;
    this.#ask = ask;
  }

  set(level: unknown): void {
    this.#level = level;
    this.#told.clear();
    this.tell();
  }

  /** Whether the client wants messages of that level. */
  wants(level: unknown): boolean {
    return isWanted(level, this.#level);
  }

  /** Tells the level, once there is one, to all servers that take one and were not told. */
  tell(): void {
    if (this.#level === undefined) return;
    const { upstreams } = this.#gateway;
    for (const name of this.#told)
      if (!upstreams.some((upstream) => upstream.name === name)) this.#told.delete(name);
    for (const upstream of upstreams) {
      const { name } = upstream;
      if (!upstream.can("logging") || this.#told.has(name)) continue;
      this.#told.add(name);
      this.#ask(name, "logging/setLevel", { level: this.#level }).catch((error: unknown) => {
        // One that could not be told is told when it has come back.
        if (asCallError(error).rpc === undefined) this.#told.delete(name);
      });
    }
  }
}
