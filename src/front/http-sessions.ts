import type { Gateway } from "../gateway.ts";
import type { Peers } from "../peer.ts";
import { every, type Timer } from "../time.ts";
import type { HttpLimits } from "./http-options.ts";
import { HttpSession } from "./http-session.ts";

/** Looks for idle sessions in the time after which one is ended: it may last so much longer. */
const looks = 10;
const shortestLook = 50;

/** What all sessions have in common. */
export interface SessionsOptions {
  readonly limits: HttpLimits;
  readonly peers: Peers;
  readonly listed: () => Promise<void>;
  readonly onProblem: (problem: string) => void;
}

/** The clients that are there by HTTP. */
export class HttpSessions {
  readonly #gateway: Gateway;
  readonly #options: SessionsOptions;
  readonly #sessions = new Map<string, HttpSession>();
  readonly #timer: Timer;

  constructor(gateway: Gateway, options: SessionsOptions) {
    this.#gateway = gateway;
    this.#options = options;
    const { sessionIdleMs } = options.limits;
    this.#timer = every(Math.max(sessionIdleMs / looks, shortestLook), () => {
      for (const session of this.#sessions.values())
        if (session.idleMs >= sessionIdleMs) session.end();
    });
  }

  /** How many requests wait for their answers. */
  get inFlight(): number {
    let count = 0;
    for (const session of this.#sessions.values()) count += session.inFlight;
    return count;
  }

  /** A new session; in place of the one that is idle for longest where there are too many. Undefined where none is. */
  open(principal: string): HttpSession | undefined {
    const { limits, peers, listed, onProblem } = this.#options;
    if (this.#sessions.size >= limits.maxSessions) {
      const idlest = this.#idlest();
      if (idlest === undefined) return undefined;
      idlest.end();
    }
    const session = new HttpSession(this.#gateway, {
      limits,
      principal,
      listed,
      onProblem,
      onEnd: ({ id, name }) => {
        this.#sessions.delete(id);
        leave();
        this.#gateway.left(name);
      },
    });
    const leave = peers.join(session.name, session.peer);
    this.#sessions.set(session.id, session);
    return session;
  }

  /** The session of that id, for who opened it. */
  find(id: string, principal: string): HttpSession | undefined {
    const session = this.#sessions.get(id);
    return session?.principal === principal ? session : undefined;
  }

  /** Ends all of them. */
  close(): void {
    this.#timer.clear();
    for (const session of this.#sessions.values()) session.end();
  }

  #idlest(): HttpSession | undefined {
    let found: HttpSession | undefined;
    for (const session of this.#sessions.values())
      if (session.idleMs > (found?.idleMs ?? 0)) found = session;
    return found;
  }
}
