import type { Gateway } from "../gateway.ts";
import type { Peers } from "../peer.ts";
import { every, type Timer } from "../time.ts";
import type { HttpLimits } from "./http-options.ts";
import { HttpSession } from "./http-session.ts";
import { ListTexts } from "./list-texts.ts";
import type { Unread } from "./unread.ts";

/** Looks for idle sessions in the time after which one is ended: it may last so much longer. */
const looks = 10;
const shortestLook = 50;

/** What all sessions have in common. */
export interface SessionsOptions {
  readonly limits: HttpLimits;
  readonly unread: Unread;
  readonly peers: Peers;
  readonly listed: () => Promise<void>;
  readonly onProblem: (problem: string) => void;
}

/** The clients that are there by HTTP. */
export class HttpSessions {
  readonly #gateway: Gateway;
  readonly #options: SessionsOptions;
  readonly #sessions = new Map<string, HttpSession>();
  readonly #texts: ListTexts;
  readonly #timer: Timer;

  constructor(gateway: Gateway, options: SessionsOptions) {
    this.#gateway = gateway;
    this.#options = options;
    this.#texts = new ListTexts(gateway, options.onProblem);
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

  /** A new session, where there are too many in place of another. Undefined where none can go. */
  open(principal: string): HttpSession | undefined {
    const { limits, unread, peers, listed, onProblem } = this.#options;
    if (this.#sessions.size >= limits.maxSessions) {
      const other = this.#replaceable(principal);
      if (other === undefined) return undefined;
      other.end();
    }
    const session = new HttpSession(this.#gateway, {
      limits,
      unread,
      principal,
      listed,
      texts: this.#texts,
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

  /** Ends those of these principals. */
  end(isOut: (principal: string) => boolean): void {
    for (const session of this.#sessions.values()) if (isOut(session.principal)) session.end();
  }

  /** Ends all of them. */
  close(): void {
    this.#timer.clear();
    this.end(() => true);
  }

  /**
   * The session that goes for a new one of that principal: of those who have most, the idlest. Where none is idle,
   * the oldest, as long as the newcomer still has fewer. So nobody keeps others out, nor is kept out by them.
   */
  #replaceable(principal: string): HttpSession | undefined {
    const counts = new Map<string, number>();
    for (const session of this.#sessions.values())
      counts.set(session.principal, (counts.get(session.principal) ?? 0) + 1);
    const most = Math.max(...counts.values());
    const own = counts.get(principal) ?? 0;
    let oldest: HttpSession | undefined;
    let idlest: HttpSession | undefined;
    for (const session of this.#sessions.values()) {
      if (counts.get(session.principal) !== most) continue;
      if (own === most && session.principal !== principal) continue;
      oldest ??= session;
      if (session.idleMs > (idlest?.idleMs ?? 0)) idlest = session;
    }
    return idlest ?? (own + 1 < most ? oldest : undefined);
  }
}
