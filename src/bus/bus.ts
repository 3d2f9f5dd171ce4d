import type { Call, Caller, Tool } from "../call.ts";
import { matchesAny } from "../catalog/glob.ts";
import type { GatewayEvent } from "../events.ts";
import { after, settlesWithin } from "../time.ts";
import {
  depthOf,
  gatewayCloudEvent,
  userCloudEvent,
  type CloudEvent,
  type Notice,
} from "./cloud-event.ts";
import {
  callerOf,
  contentOf,
  gatewayTypes,
  ofEndedCall,
  shelves,
  type EndedCall,
} from "./gateway-events.ts";
import { History, type Kept } from "./history.ts";

/** Somebody who wants events. */
export interface Subscriber {
  /** "*" stands for any text. */
  readonly types: readonly string[];
  /** Whether an event of these types is meant for it at all. Default: each is. */
  readonly hears?: (notice: Notice) => boolean;
  /** What it rejects with or throws counts as a failure, and hurts nobody else. */
  readonly handle: (notice: Notice) => void | Promise<void>;
}

/** What became of an event that was published. */
export interface Told {
  readonly id: string;
  /** How many were told. */
  readonly told: number;
  /** How many of those failed. */
  readonly failed: number;
  /** How many of those are still at work on it. */
  readonly pending: number;
}

/** Milliseconds after which a publisher is answered, also where somebody is still at work on the event. */
const patience = 2000;

/** Milliseconds to which the times of calls are right of which nobody is told. */
const clockTick = 5;

/** About what a gateway event takes. */
const gatewayBytes = 512;

/**
 * Where all events pass. A gateway event is made into a CloudEvent only where somebody wants its type; of a call
 * that ended well the history keeps a few words, of which it makes the event when it is asked.
 */
export class Bus {
  readonly history = new History();
  readonly #redact: (text: string) => string;
  readonly #subscribers = new Set<Subscriber>();
  /** Who wants each of the gateway's types that anybody wants or the history keeps. */
  readonly #wanted = new Map<string, readonly Subscriber[]>();
  /** Milliseconds since 1970, while that was looked up not long ago. */
  #roughly: number | undefined;
  #count = 0;

  /** `redact` takes secrets out of texts. */
  constructor(redact: (text: string) => string) {
    this.#redact = redact;
    this.#sort();
  }

  /** Tells `subscriber` from now on. Answers how to stop that. */
  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber);
    this.#sort();
    return () => {
      this.#subscribers.delete(subscriber);
      this.#sort();
    };
  }

  /** Takes an event of the gateway. Never throws, never waits. */
  readonly take = (event: GatewayEvent): void => {
    const { type } = event;
    const subscribers = this.#wanted.get(type);
    if (subscribers === undefined) return;
    const number = ++this.#count;
    if (subscribers.length === 0 && (type === "call.succeeded" || type === "call.answered")) {
      const roughly = this.#roughly ?? this.#look();
      const kept = new KeptCall(number, roughly, type, event.call, event.ms);
      return this.history.keep("calls", kept);
    }
    const at = Date.now();
    const shelf = shelves[type];
    const cloudEvent = gatewayCloudEvent(number, at, type, contentOf(event, this.#redact));
    const caller = callerOf(event);
    const owner = caller?.principal;
    const notice = {
      event: cloudEvent,
      owner,
      depth: caller === undefined ? 0 : depthOf(caller),
      bytes: gatewayBytes,
    };
    if (shelf !== undefined) this.history.keep(shelf, new KeptEvent(number, at, notice));
    for (const subscriber of subscribers) tell(subscriber, notice)?.catch(() => {});
  };

  /**
   * Publishes an event of a user's. Resolves when all who were told have ended, or two seconds have passed; at once
   * where an event has led to it, since what waits here may be what they wait for. Never rejects.
   */
  async publish(
    type: string,
    data: unknown,
    bytes: number,
    call: Pick<Call, "caller" | "trace">,
  ): Promise<Told> {
    const { caller, trace } = call;
    const number = ++this.#count;
    const event = userCloudEvent(number, type, data, caller, trace);
    const depth = depthOf(caller);
    const notice = { event, owner: caller.principal, depth, bytes };
    this.history.keep("users", new KeptEvent(number, Date.now(), notice));
    let failed = 0;
    let ended = 0;
    const tellings = [...this.#subscribers]
      .filter(({ types }) => matchesAny(types, type))
      .flatMap((subscriber) => {
        const telling = tell(subscriber, notice);
        if (telling === undefined) return [];
        return telling.catch(() => void failed++).finally(() => void ended++);
      });
    if (tellings.length > 0) await settlesWithin(Promise.all(tellings), depth === 0 ? patience : 0);
    return { id: event.id, told: tellings.length, failed, pending: tellings.length - ended };
  }

  /** The time, which is good for a few milliseconds: to look at the clock takes as long as all the rest. */
  #look(): number {
    after(clockTick, () => (this.#roughly = undefined));
    return (this.#roughly = Date.now());
  }

  #sort(): void {
    this.#wanted.clear();
    for (const type of gatewayTypes) {
      const subscribers = [...this.#subscribers].filter(({ types }) => matchesAny(types, type));
      if (subscribers.length > 0 || shelves[type] !== undefined)
        this.#wanted.set(type, subscribers);
    }
  }
}

/** Undefined where the event is not meant for the subscriber. */
function tell(subscriber: Subscriber, notice: Notice): Promise<void> | undefined {
  try {
    if (subscriber.hears?.(notice) === false) return undefined;
    return Promise.resolve(subscriber.handle(notice));
  } catch (error) {
    return Promise.reject(error);
  }
}

class KeptEvent implements Kept {
  readonly number: number;
  readonly at: number;
  readonly #notice: Notice;

  constructor(number: number, at: number, notice: Notice) {
    this.number = number;
    this.at = at;
    this.#notice = notice;
  }

  get type(): string {
    return this.#notice.event.type;
  }

  get owner(): string | undefined {
    return this.#notice.owner;
  }

  get bytes(): number {
    return this.#notice.bytes;
  }

  event(): CloudEvent {
    return this.#notice.event;
  }
}

/** The words that are kept of a call that ended with an answer: its arguments and its result are let go. */
class KeptCall implements Kept, EndedCall {
  readonly number: number;
  readonly at: number;
  readonly type: string;
  readonly method: string;
  readonly upstream: string;
  readonly tool: Tool | undefined;
  readonly caller: Caller;
  readonly trace: string;
  readonly ms: number;

  constructor(number: number, at: number, type: string, call: EndedCall, ms: number) {
    this.number = number;
    this.at = at;
    this.type = type;
    this.method = call.method;
    this.upstream = call.upstream;
    this.tool = call.tool;
    this.caller = call.caller;
    this.trace = call.trace;
    this.ms = ms;
  }

  get owner(): string {
    return this.caller.principal;
  }

  get bytes(): number {
    return 0;
  }

  event(): CloudEvent {
    return gatewayCloudEvent(this.number, this.at, this.type, ofEndedCall(this, this.ms));
  }
}
