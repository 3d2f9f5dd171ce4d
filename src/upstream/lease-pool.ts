import type { Call, Caller, IsFor, JsonObject, Result } from "../call.ts";
import { canonical } from "../canonical.ts";
import { CallError, type FailureCode } from "../errors.ts";
import type { Peer } from "../peer.ts";
import type { RemoteUpstream } from "./remote.ts";
import { Waiters } from "./waiters.ts";

/** Connections at most; each may be a process. */
const most = 8;

/** One connection, and who uses it now. */
interface Leased {
  /** What its server was told that clients can do. */
  readonly key: string;
  readonly remote: RemoteUpstream;
  isBusy: boolean;
}

/** Milliseconds after which a connection is ended that nobody has used. */
const idleStopMs = 60_000;

/** Makes a connection whose server is told that its client is this one, and whose notes are for these callers. */
type Open = (peer: Peer, isFor: IsFor, idleStopMs: number) => RemoteUpstream;

/**
 * Connections that each serve one call at a time, so that whatever a server asks meanwhile is meant for the
 * caller of that one. Calls beyond wait for one that is free.
 */
export class LeasePool {
  readonly #upstream: string;
  readonly #open: Open;
  readonly #all = new Set<Leased>();
  readonly #waiters = new Waiters();

  constructor(upstream: string, open: Open) {
    this.#upstream = upstream;
    this.#open = open;
  }

  /** Resolves when the connection is there that the call will most likely get. */
  ready(call: Call, capabilities: JsonObject): Promise<void> | undefined {
    return this.#find(canonical(capabilities), capabilities)?.remote.ready(call);
  }

  async handle(call: Call, capabilities: JsonObject): Promise<Result> {
    const key = canonical(capabilities);
    let leased = this.#find(key, capabilities);
    while (leased === undefined) {
      // oxlint-disable-next-line no-await-in-loop -- another may have been faster
      await this.#waiters.wait(call, this.#overloaded).catch(unsent(this.#overloaded));
      leased = this.#find(key, capabilities);
    }
    leased.isBusy = true;
    try {
      await leased.remote.ready(call)?.catch(unsent(this.#connecting));
      return await leased.remote.handle(call);
    } finally {
      leased.isBusy = false;
      // Its server may still be at a call that was given up, and ask another client for it.
      if (call.signal.reason !== undefined) this.#drop(leased);
      this.#waiters.admitOne();
    }
  }

  /** How many calls wait for their answer. */
  inFlight(): number {
    return [...this.#all].filter(({ isBusy }) => isBusy).length;
  }

  hold(held: boolean): void {
    for (const { remote } of this.#all) remote.hold(held);
  }

  async close(): Promise<void> {
    this.#waiters.refuse(this.#overloaded());
    await Promise.all([...this.#all].map(({ remote }) => remote.close()));
  }

  #drop(leased: Leased): void {
    this.#all.delete(leased);
    void leased.remote.close();
  }

  readonly #overloaded = (): CallError =>
    notSent(
      "overloaded",
      `all ${most} connections to ${this.#upstream} are in use`,
      this.#upstream,
    );

  readonly #connecting = (): CallError =>
    notSent("unavailable", `${this.#upstream} is still connecting`, this.#upstream);

  /** One that is free, or new; undefined where all are busy. */
  #find(key: string, capabilities: JsonObject): Leased | undefined {
    let spare: Leased | undefined;
    for (const leased of this.#all) {
      if (leased.isBusy) continue;
      if (leased.key === key) return leased;
      spare = leased;
    }
    if (this.#all.size >= most) {
      if (spare === undefined) return undefined;
      this.#drop(spare);
    }
    const nobody: Peer = {
      capabilities: Promise.resolve(capabilities),
      ask: (upstream, method) =>
        Promise.reject(new Error(`${method}: no call at ${upstream} is under way`)),
    };
    const isFor: IsFor = (caller) => isUsedBy(leased, caller);
    const leased: Leased = { key, remote: this.#open(nobody, isFor, idleStopMs), isBusy: false };
    this.#all.add(leased);
    return leased;
  }
}

/** Whether the call on a connection is one of that caller. */
function isUsedBy({ remote }: Leased, { peer, session }: Caller): boolean {
  for (const used of remote.callers())
    if (used.peer === peer && used.session === session) return true;
  return false;
}

const notSent = (code: FailureCode, why: string, upstream: string): CallError =>
  new CallError(code, why, { outcome: "failed", upstream, local: true });

/** The end of an attempt's time says nothing of the server while nothing was sent to it. */
const unsent =
  (instead: () => CallError) =>
  (reason: unknown): never => {
    throw reason instanceof CallError && reason.code === "timeout" ? instead() : reason;
  };
