import type { Caller, JsonObject, Result } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { CallError } from "../errors.ts";
import { after } from "../time.ts";
import { Link, type Send } from "./link.ts";

/** Ids of our own requests start here, below those of calls. */
const firstId = 500_000_000;

const caller: Caller = { principal: "holdfast", session: "holdfast", client: "holdfast" };
const trace = "0".repeat(32);

/** Requests of our own on one connection, beside the calls of clients. */
export class OwnRequests {
  readonly #upstream: string;
  readonly #link: Link;

  constructor(upstream: string, send: Send) {
    this.#upstream = upstream;
    this.#link = new Link(upstream, send, firstId);
  }

  /** Resolves with the result; rejects with the server's error, or when `timeoutMs` pass. */
  ask(method: string, params: JsonObject, timeoutMs: number): Promise<Result> {
    const upstream = this.#upstream;
    const signal = new Cancel();
    const late = `${upstream} did not answer ${method} within ${Math.round(timeoutMs)} ms`;
    const timer = after(timeoutMs, () =>
      signal.cancel(new CallError("timeout", late, { outcome: "unknown", upstream })),
    );
    const deadline = { at: Infinity, max: Infinity };
    return this.#link
      .handle({ upstream, method, params, caller, signal, deadline, trace })
      .finally(() => timer.clear());
  }

  /** Takes a message if it answers one of them; tells whether it does. */
  receive(message: JsonObject): boolean {
    return this.#link.receive(message, "");
  }

  /** Ends the one of that id; tells whether the id is one of ours. */
  fail(id: number, error: CallError): boolean {
    return this.#link.fail(id, error);
  }

  end(reason: CallError): void {
    this.#link.end(reason);
  }
}
