import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Call, Result } from "../../src/call.ts";
import { OwnTools } from "../../src/own/own-tools.ts";
import { readResultTool } from "../../src/own/read-result-tool.ts";
import { KeptResults } from "../../src/results/kept-results.ts";
import { call, outcomeOf } from "../support/calls.ts";

let folder = "";
let results: KeptResults;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-"));
  results = new KeptResults({ folder });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const own = (): OwnTools =>
  new OwnTools(new Map([["read_result", readResultTool(results)]]), ({ params, caller }) =>
    results.read(String(params["uri"]), caller),
  );
const read = (given: unknown, over: Partial<Call> = {}): Promise<Result> =>
  own().handle(call({ params: { name: "read_result", arguments: given }, ...over }));
const keep = () => results.keep("0123456789", call().caller, 4);

describe("read_result", () => {
  it("answers with the page that is asked for, or the first", async () => {
    const { id } = await keep();
    expect(await read({ id, page: 3 })).toMatchObject({
      structuredContent: { id, page: 3, pages: 3, text: "89" },
    });
    expect(await read({ id })).toMatchObject({ structuredContent: { page: 1, text: "0123" } });
  });

  it("says the same of an unknown id and of a result of somebody else", async () => {
    const { id } = await keep();
    const caller = { ...call().caller, principal: "other" };
    const unknown = "x".repeat(24);
    const refusal = (of: string) => ({
      code: "upstream_error",
      outcome: "answered",
      message: `there is no result "${of}" of yours, or it has expired`,
    });
    expect(await outcomeOf(read({ id }, { caller }))).toMatchObject(refusal(id));
    expect(await outcomeOf(read({ id: unknown }))).toMatchObject(refusal(unknown));
  });

  it("says which pages there are", async () => {
    const { id } = await keep();
    expect(await outcomeOf(read({ id, page: 4 }))).toMatchObject({
      message: "arguments.page: expected 1 to 3, got 4",
    });
  });

  it.each([
    [undefined, "arguments.id: expected string, got nothing"],
    [[], "arguments: expected object, got a list"],
    [{ id: 3 }, "arguments.id: expected string, got 3"],
    [{ id: "x", page: "two" }, 'arguments.page: expected number, got "two"'],
    [{ id: "x", page: 0 }, "arguments.page: expected number to be >=1, got 0"],
    [{ id: "x", pages: 1 }, 'arguments: Unrecognized key: "pages"'],
  ])("says what is wrong with arguments: %j", async (given, message) => {
    expect(await outcomeOf(read(given))).toMatchObject({ outcome: "answered", message });
  });
});
