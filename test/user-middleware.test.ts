import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { compose, type Result } from "../src/call.ts";
import { loadMiddlewares } from "../src/user-middleware.ts";
import { keepText, resultLine } from "../src/wire.ts";
import { call } from "./support/calls.ts";

let folder = "";
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "holdfast-test-"))));
afterAll(() => rm(folder, { recursive: true }));

it("passes a result on as a middleware has changed it in place, not as it came", async () => {
  const file = join(folder, "sign.mjs");
  await writeFile(
    file,
    `export default (next) => async (call) => {
      const result = await next(call);
      result.content.push({ type: "text", text: "signed" });
      return result;
    };`,
  );
  const line = '{"jsonrpc":"2.0","id":1000000001,"result":{"content":[]}}';
  const answer = JSON.parse(line) as { result: Result };
  keepText(answer, line);
  const handle = compose(await loadMiddlewares([file]), () => Promise.resolve(answer.result));
  expect(resultLine(1, await handle(call()))).toContain("signed");
});
