import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { loadMiddlewares } from "../src/user-middleware.ts";
import { now } from "../src/time.ts";
import { ok } from "./support/calls.ts";
import { wholeStack } from "./support/stacks.ts";
import { temporaryFolder } from "./support/stubborn.ts";

afterEach(() => vi.useRealTimers());

it("gives a call its whole time though a user's own middleware took longer before", async () => {
  const file = join(temporaryFolder(), "asks.mjs");
  writeFileSync(
    file,
    `export default (next) => async (call) => {
      await new Promise((resolve) => setTimeout(resolve, 5000));
      return next(call);
    };`,
  );
  const middlewares = await loadMiddlewares([file]);
  vi.useFakeTimers();
  const { ask } = wholeStack(
    ({ signal }) =>
      new Promise((resolve, reject) => {
        signal.subscribe(reject);
        setTimeout(() => resolve(ok()), 500);
      }),
    { timeout: { totalMs: 1000 } },
    { middlewares },
  );
  const answer = ask({ begun: now() });
  await vi.advanceTimersByTimeAsync(5500);
  expect(await answer).toEqual(ok());
});
