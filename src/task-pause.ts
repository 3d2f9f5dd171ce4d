/** Milliseconds from one look at a task to the next: where its server says nothing, at least, and at most. */
const usual = 1000;
const shortest = 50;
const longest = 60_000;

/** Milliseconds until the next look, by what the server of the task wants. */
export const taskPause = (wanted: unknown): number =>
  Math.min(Math.max(typeof wanted === "number" ? wanted : usual, shortest), longest);
