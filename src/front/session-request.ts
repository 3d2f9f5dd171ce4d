import type { Caller, JsonObject, Progress, Result } from "../call.ts";
import { Cancel } from "../cancel.ts";
import type { RequestId } from "./exchange.ts";
import type { Relayed, Told } from "./relay.ts";
import type { Route } from "./routes.ts";

/** What becomes of requests. */
export interface Ends {
  answered(request: SessionRequest, result: Result): void;
  failed(request: SessionRequest, told: Told): void;
}

/** A request of a session that servers answer. */
export class SessionRequest implements Relayed {
  readonly id: RequestId;
  readonly method: string;
  readonly params: JsonObject;
  readonly caller: Caller;
  readonly signal = new Cancel();
  readonly #ends: Ends;
  onProgress: ((progress: Progress) => void) | undefined = undefined;
  route: Route | undefined = undefined;
  begun: number | undefined = undefined;

  constructor(id: RequestId, method: string, params: JsonObject, caller: Caller, ends: Ends) {
    this.id = id;
    this.method = method;
    this.params = params;
    this.caller = caller;
    this.#ends = ends;
  }

  answered(result: Result): void {
    this.#ends.answered(this, result);
  }

  failed(told: Told): void {
    this.#ends.failed(this, told);
  }
}
