import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { compose, type Middleware, type Result } from "../src/call.ts";
import { now } from "../src/time.ts";
import { loadMiddlewares } from "../src/user-middleware.ts";
import { keepText, resultLine } from "../src/wire.ts";
import { call, ok } from "./support/calls.ts";
import { wholeStack } from "./support/stacks.ts";

let folder = "";
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "holdfast-test-"))));
afterAll(() => rm(folder, { recursive: true }));

/** The middleware of a module. */
async function loaded(name: string, module: string): Promise<Middleware[]> {
  const file = join(folder, name);
  await writeFile(file, module);
  return loadMiddlewares([file]);
}

/** A module that adds a text to each result, in place. */
const adding = (text: string): string =>
  `export default (next) => async (call) => {
    const result = await next(call);
    result.content.push({ type: "text", text: "${text}" });
    return result;
  };`;

it("passes a result on as a middleware has changed it in place, not as it came", async () => {
  const middlewares = await loaded("sign.mjs", adding("signed"));
  const line = '{"jsonrpc":"2.0","id":1000000001,"result":{"content":[]}}';
  const answer = JSON.parse(line) as { result: Result };
  keepText(answer, line);
  const handle = compose(middlewares, () => Promise.resolve(answer.result));
  expect(resultLine(1, await handle(call()))).toContain("signed");
});

afterEach(() => vi.useRealTimers());

it("gives a call its whole time though a user's own middleware took longer before", async () => {
  const middlewares = await loaded(
    "asks.mjs",
    `export default (next) => async (call) => {
      await new Promise((resolve) => setTimeout(resolve, 5000));
      return next(call);
    };`,
  );
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
  const { ask } = wholeStack(
    () => Promise.resolve(ok()),
    { cache: { enabled: true } },
    { middlewares: await loaded("adds.mjs", adding("and more")) },
  );
  const content = [...(ok()["content"] as unknown[]), { type: "text", text: "and more" }];
  const both = await Promise.all([ask(), ask()]);
  for (const answer of [...both, await ask(), await ask()])
    expect(answer).toMatchObject({ content });
});
