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

it("may change results in place, which changes none that the cache or another call has", async () => {
  const file = join(temporaryFolder(), "adds.mjs");
  writeFileSync(
    file,
    `export default (next) => async (call) => {
      const result = await next(call);
      result.content.push({ type: "text", text: "and more" });
      return result;
    };`,
  );
  const { ask } = wholeStack(
    () => Promise.resolve(ok()),
    { cache: { enabled: true } },
    { middlewares: await loadMiddlewares([file]) },
  );
  const content = [...(ok()["content"] as unknown[]), { type: "text", text: "and more" }];
  const both = await Promise.all([ask(), ask()]);
  for (const answer of [...both, await ask(), await ask()])
    expect(answer).toMatchObject({ content });
});
