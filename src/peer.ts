import type { Caller, JsonObject, Result } from "./call.ts";
import { KeyTable } from "./key-table.ts";

/**
 * The client as servers see it: what it can do, and requests to it, such as for sampling, elicitation and
 * roots. A server is initialised only when the client is known, since it is told then what the client can do.
 */
export interface Peer {
  /** What the client announced, as far as it can be passed on. */
  readonly capabilities: Promise<JsonObject>;
  /** Asks the client on behalf of an upstream. Rejects with the client's own error. */
  ask(upstream: string, method: string, params: JsonObject, signal: AbortSignal): Promise<Result>;
  /** Whether it is there for one request alone: of a client of the era without sessions. Default: false. */
  readonly isRequest?: boolean;
  /** Whether that server answers its request, so that the client takes what asks for input, and repeats it with that. Default: no. */
  repeats?(upstream: string): boolean;
  /** The client that this is a part of, where all of it may share a connection to a server: a question to one part may be answered by another. */
  readonly within?: Peer | undefined;
}

/** What tells the client behind a call from others. */
export const clientKey = ({ peer, session }: Caller): string => peer ?? session;

/** The clients that are there now, by what a call's caller knows of them. */
export class Peers {
  readonly #peers = new KeyTable<string, Peer>();

  /** Answers how to leave. */
  join(key: string, peer: Peer): () => void {
    this.#peers.add(key, peer);
    return () => this.#peers.remove(key, peer);
  }

  /** The client behind a call; undefined where it has gone, or there never was one. */
  of(caller: Caller): Peer | undefined {
    return this.#peers.get(clientKey(caller));
  }

  /** The one client behind all of these; undefined where they are several, or none. */
  only(callers: Iterable<Caller>): Peer | undefined {
    const found = new Set<Peer | undefined>();
    for (const caller of callers) found.add(this.of(caller));
    return found.size === 1 ? [...found][0] : undefined;
  }
}

/** What a client announces that servers may make use of. */
const passedOn = ["roots", "sampling", "elicitation", "tasks", "experimental", "extensions"];

/** The place that a client takes when it comes. */
export class PeerSlot implements Peer {
  readonly capabilities: Promise<JsonObject>;
  #introduced = false;
  #known = (_capabilities: JsonObject): void => {};
  #ask: Peer["ask"] = () => Promise.reject(new Error("no client is connected"));

  /** With `capabilities` where no client will come. */
  constructor(capabilities?: JsonObject) {
    this.capabilities = new Promise((resolve) => (this.#known = resolve));
    if (capabilities !== undefined) this.introduce(capabilities);
  }

  get isIntroduced(): boolean {
    return this.#introduced;
  }

  /** The client has told what it can do, or never will; the first word counts. */
  introduce(capabilities: JsonObject, ask?: Peer["ask"]): void {
    if (ask !== undefined) this.#ask = ask;
    if (this.#introduced) return;
    this.#introduced = true;
    this.#known(
      Object.fromEntries(Object.entries(capabilities).filter(([name]) => passedOn.includes(name))),
    );
  }

  readonly ask: Peer["ask"] = (...request) => this.#ask(...request);
}
