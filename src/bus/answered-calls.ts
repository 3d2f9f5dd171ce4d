import type { Call, Caller, Tool } from "../call.ts";
import { gatewayCloudEvent } from "./cloud-event.ts";
import { ofEndedCall } from "./gateway-events.ts";
import type { Kept } from "./history.ts";

/** How a call ended that was answered. */
export type AnsweredType = "call.succeeded" | "call.answered";

/**
 * The last calls that were answered: a few words of each, and nothing of their arguments and results.
 *
 * There are many of them, so each column has a list of its own, written over round and round. An object for each
 * call takes longer: what is young in an old list is work for the garbage collector.
 */
export class AnsweredCalls {
  readonly #size: number;
  readonly #numbers: Float64Array;
  readonly #times: Float64Array;
  readonly #durations: Float64Array;
  readonly #types: AnsweredType[] = [];
  readonly #methods: string[] = [];
  readonly #upstreams: string[] = [];
  readonly #tools: (Tool | undefined)[] = [];
  readonly #callers: Caller[] = [];
  readonly #traces: string[] = [];
  #next = 0;

  constructor(size: number) {
    this.#size = size;
    this.#numbers = new Float64Array(size);
    this.#times = new Float64Array(size);
    this.#durations = new Float64Array(size);
  }

  /** `at` is milliseconds since 1970, `ms` how long it took. */
  add(number: number, at: number, type: AnsweredType, call: AnsweredCall, ms: number): void {
    const place = this.#next;
    if (place === this.#size) return; // it keeps none
    this.#numbers[place] = number;
    this.#times[place] = at;
    this.#durations[place] = ms;
    this.#types[place] = type;
    this.#methods[place] = call.method;
    this.#upstreams[place] = call.upstream;
    this.#tools[place] = call.tool;
    this.#callers[place] = call.caller;
    this.#traces[place] = call.trace;
    this.#next = place + 1 === this.#size ? 0 : place + 1;
  }

  /** In no order. */
  all(): Kept[] {
    return this.#types.map((type, place) => {
      const number = this.#numbers[place]!;
      const at = this.#times[place]!;
      const call = this.#call(place);
      const ms = this.#durations[place]!;
      const event = () => gatewayCloudEvent(number, at, type, ofEndedCall(call, ms));
      return { number, at, type, owner: call.caller.principal, bytes: 0, event };
    });
  }

  /** The same in another size; the newest of what there is stay. */
  resized(size: number): AnsweredCalls {
    if (size === this.#size) return this;
    const calls = new AnsweredCalls(size);
    const oldestFirst = [...this.#types.keys()].toSorted(
      (a, b) => this.#numbers[a]! - this.#numbers[b]!,
    );
    for (const place of oldestFirst)
      calls.add(
        this.#numbers[place]!,
        this.#times[place]!,
        this.#types[place]!,
        this.#call(place),
        this.#durations[place]!,
      );
    return calls;
  }

  #call(place: number): AnsweredCall {
    return {
      method: this.#methods[place]!,
      upstream: this.#upstreams[place]!,
      tool: this.#tools[place],
      caller: this.#callers[place]!,
      trace: this.#traces[place]!,
    };
  }
}

type AnsweredCall = Pick<Call, "method" | "upstream" | "tool" | "caller" | "trace">;
