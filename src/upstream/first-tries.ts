import { now, settlesWithin } from "../time.ts";

/** Milliseconds without news after which a list is answered without those that are still connecting. */
const quiet = 2000;
/** Milliseconds after which it is answered in any case. */
const longest = 10_000;

interface Tried {
  readonly settled: Promise<void>;
}

/**
 * Waits for the first tries of several upstreams: `settled` for all of them; `listed` as long as it makes
 * sense for a client that asked for a list. One that hangs delays it by `quiet`, while one after the other
 * comes up all are waited for.
 */
export function firstTries(upstreams: readonly Tried[]): {
  settled: Promise<void>;
  listed: () => Promise<void>;
} {
  const begun = now();
  const pending = new Set(upstreams);
  let latest = begun;
  for (const upstream of upstreams)
    void upstream.settled.then(() => {
      pending.delete(upstream);
      latest = now();
    });
  const settled = Promise.all(upstreams.map((upstream) => upstream.settled)).then(() => {});
  return {
    settled,
    async listed() {
      while (pending.size > 0) {
        const left = Math.min(latest + quiet, begun + longest) - now();
        if (left <= 0) return;
        // oxlint-disable-next-line no-await-in-loop -- each round waits for the next news
        await settlesWithin(Promise.race([...pending].map((upstream) => upstream.settled)), left);
      }
    },
  };
}
