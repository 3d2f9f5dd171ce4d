import { now, settlesWithin } from "../time.ts";

/** Milliseconds without news after which a list is answered without those that are still connecting. */
const quiet = 2000;
/** Milliseconds after which it is answered in any case. */
const longest = 10_000;

/**
 * Waits for several upstreams whose lists are not known yet, as long as it makes sense for a client that asked
 * for a list. One that hangs delays it by `quiet`; while one after the other comes up, all are waited for.
 * The times count from when `client` resolves, since no server is initialised before.
 */
export function firstTries(
  known: readonly Promise<void>[],
  client: Promise<unknown>,
): () => Promise<void> {
  let begun = 0;
  let latest = 0;
  const begin = client.then(() => (begun = latest = now()));
  const pending = new Set(known);
  for (const one of known)
    void one.then(() => {
      pending.delete(one);
      latest = now();
    });
  return async () => {
    await begin;
    while (pending.size > 0) {
      const left = Math.min(latest + quiet, begun + longest) - now();
      if (left <= 0) return;
      // oxlint-disable-next-line no-await-in-loop -- each round waits for the next news
      await settlesWithin(Promise.race(pending), left);
    }
  };
}
