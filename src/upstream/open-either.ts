import { settlesWithin } from "../time.ts";
import type { ServerInfo } from "./connection.ts";
import type { Opening } from "./turn.ts";

/** The two ways to open what speaks one of two eras, over one and the same connection. */
export interface Ways<Opened> {
  readonly opening: Opening;
  /** Milliseconds for the answer to `discover`, which a server of the older era need not give. */
  readonly patienceMs: number;
  /** What the server says of itself in the newer era; undefined where it is of the older one. */
  discover(): Promise<ServerInfo | undefined>;
  /** Goes on in the newer era. */
  use(info: ServerInfo): Promise<Opened>;
  /** Goes on in the older era. */
  initialize(): Promise<Opened>;
  /** Notes that what was initialised speaks the newer era, too. */
  both(opened: Opened): Opened;
  /** Whether `initialize` has failed because the server said no. */
  isAnswer(error: unknown): boolean;
  /** Told when the server has answered what was tried first. */
  answered(): void;
}

/** Milliseconds for an answer that must have come before another, and be on its way through our own code. */
const moment = 50;

/** Opens in the newer era where the server speaks it, else in the older one. */
export async function openEither<Opened>(ways: Ways<Opened>): Promise<Opened> {
  if (ways.opening === "initialize") return initializeFirst(ways);
  const probe = ways.discover();
  if (await settlesWithin(probe, ways.patienceMs)) {
    const info = await probe;
    ways.answered();
    return info === undefined ? ways.initialize() : ways.use(info);
  }
  // One that is slow to start answers both, in order.
  let late: ServerInfo | undefined;
  probe.then((info) => (late = info)).catch(() => {});
  const initialize = async (): Promise<Opened> => {
    const opened = await ways.initialize();
    return late === undefined ? opened : ways.both(opened);
  };
  return initialized({ ...ways, initialize }, () => settlesWithin(probe, moment).then(() => late));
}

async function initializeFirst<Opened>(ways: Ways<Opened>): Promise<Opened> {
  const opened = await initialized(ways, () => {
    ways.answered();
    return ways.discover();
  });
  ways.answered();
  return opened;
}

/** Initialises; where the server says no, goes on in the newer era if it turns out to speak that. */
async function initialized<Opened>(
  ways: Ways<Opened>,
  discovered: () => Promise<ServerInfo | undefined>,
): Promise<Opened> {
  try {
    return await ways.initialize();
  } catch (error) {
    const info = ways.isAnswer(error) ? await discovered().catch(() => undefined) : undefined;
    if (info === undefined) throw error;
    return ways.use(info);
  }
}
