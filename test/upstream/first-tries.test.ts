import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { firstTries } from "../../src/upstream/first-tries.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const never = new Promise<void>(() => {});
const known = Promise.resolve();
const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** After how many milliseconds a wait ends. */
async function duration(wait: Promise<void>): Promise<number> {
  const begun = performance.now();
  let ms = -1;
  void wait.then(() => (ms = performance.now() - begun));
  await vi.advanceTimersByTimeAsync(60_000);
  return Math.round(ms);
}

describe("firstTries", () => {
  it("waits for no one where all is known", async () => {
    expect(await duration(firstTries([known, known], known)())).toBe(0);
  });

  it("waits for those that come one after the other, and 2 s for one that hangs", async () => {
    expect(await duration(firstTries([later(1500), later(3000), known], known)())).toBe(3000);
    expect(await duration(firstTries([later(1500), never], known)())).toBe(3500);
    expect(await duration(firstTries([never], known)())).toBe(2000);
  });

  it("counts from when the client is known, however late that is", async () => {
    const client = later(5000);
    const listed = firstTries([later(5300)], client);
    await vi.advanceTimersByTimeAsync(5000);
    expect(await duration(listed())).toBe(300);
  });
});
