import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Call, JsonObject, Result } from "../../src/call.ts";
import { resultGuard } from "../../src/policies/result-guard.ts";
import { KeptResults } from "../../src/results/kept-results.ts";
import { call, ok, recorder, tool } from "../support/calls.ts";

let folder = "";
let results: KeptResults;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-"));
  results = new KeptResults({ folder: join(folder, "results") });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const told = recorder();
function guard(result: Result, maxBytes = 10, request: Call = call()): Promise<Result> {
  const policy = resultGuard({
    optionsOf: () => ({ maxBytes }),
    keep: (...given) => results.keep(...given),
    report: told.report,
  });
  return policy(() => Promise.resolve(result))(request);
}

const image = { type: "image", data: "x".repeat(1000), mimeType: "image/png" };
const text = (of: string): JsonObject => ({ type: "text", text: of });
const withSchema = call({
  tool: tool({ definition: { name: "up__do", outputSchema: { type: "object" } } }),
});

interface Paged {
  readonly id: string;
  readonly bytes: number;
  readonly pages: number;
  readonly pageBytes: number;
}
const pagedOf = (result: Result): Paged =>
  (result["_meta"] as JsonObject)["holdfast/result"] as Paged;
const blocksOf = (result: Result): JsonObject[] => result["content"] as JsonObject[];
const noteOf = (result: Result): unknown => blocksOf(result).at(-2)?.["text"];

async function wholeOf(result: Result): Promise<unknown> {
  const whole = await results.read(`holdfast://results/${pagedOf(result).id}`, call().caller);
  expect(whole).toBeDefined();
  const [contents] = (whole as JsonObject)["contents"] as [JsonObject];
  return contents["text"];
}

describe("resultGuard", () => {
  it("answers with the first page, how to read on, and a link to the whole", async () => {
    const result = await guard(ok("0123456789abcdefghijABC"));
    const { id } = pagedOf(result);
    expect(result).toEqual({
      content: [
        text("0123456789"),
        text(
          `This is page 1 of 3: the first 10 of 23 bytes. To read on, call holdfast__read_result with {"id":"${id}","page":2}.`,
        ),
        {
          type: "resource_link",
          uri: `holdfast://results/${id}`,
          name: "the whole result of up__do",
          mimeType: "text/plain",
          size: 23,
        },
      ],
      _meta: { "holdfast/result": { id, bytes: 23, pages: 3, pageBytes: 10 } },
    });
    expect(await results.page(id, 2, call().caller)).toMatchObject({ text: "abcdefghij" });
  });

  it("leaves what fits as it is, to the byte", async () => {
    const fits = ok("0123456789");
    expect(await guard(fits)).toBe(fits);
    const umlauts = ok("äöüäö");
    expect(await guard(umlauts)).toBe(umlauts);
    expect(pagedOf(await guard(ok("äöüäöü")))).toMatchObject({ bytes: 12, pages: 2 });
  });

  it("looks at nothing where it is off, and hands on the promise", () => {
    const promise = Promise.resolve(ok("x".repeat(1000)));
    for (const options of [false, { maxBytes: 0 }] as const) {
      const policy = resultGuard({
        optionsOf: () => options,
        keep: () => Promise.reject(new Error("not to be called")),
        report: told.report,
      });
      expect(policy(() => promise)(call())).toBe(promise);
    }
  });

  it("passes results without content", async () => {
    const read = { contents: [{ uri: "a://b", text: "x".repeat(100) }] };
    expect(await guard(read)).toBe(read);
  });

  it("keeps other blocks and members, errors included, and joins texts by lines", async () => {
    const result = await guard({
      content: [text("01234"), image, { ...text("56789!"), annotations: { priority: 1 } }],
      isError: true,
      more: 1,
      _meta: { theirs: 2 },
    });
    expect(result).toMatchObject({ isError: true, more: 1, _meta: { theirs: 2 } });
    expect(blocksOf(result).slice(0, 2)).toEqual([text("01234\n5678"), image]);
    expect(await wholeOf(result)).toBe("01234\n56789!");
  });

  it("leaves out large structured content that the text says too", async () => {
    const structuredContent = { list: [1, 2, 3, 4, 5] };
    const pretty = JSON.stringify(structuredContent, undefined, 2);
    const result = await guard({ ...ok(pretty), structuredContent });
    expect(result).not.toHaveProperty("structuredContent");
    expect(noteOf(result)).toContain("The structured content, which says the same, is left out.");
    expect(await wholeOf(result)).toBe(pretty);
  });

  it("keeps large structured content that the text does not say after the text", async () => {
    const structuredContent = { list: [1, 2, 3, 4, 5] };
    const result = await guard({ content: [text("5 found")], structuredContent });
    expect(result).not.toHaveProperty("structuredContent");
    expect(noteOf(result)).toContain("The structured content is left out; the last");
    expect(await wholeOf(result)).toBe('5 found\n{"list":[1,2,3,4,5]}');
  });

  it("does so too where there is no text at all", async () => {
    const result = await guard({ content: [], structuredContent: { list: [1, 2, 3] } });
    expect(blocksOf(result)[0]).toEqual(text('{"list":[1'));
  });

  it("leaves structured content to tools that declare its schema, and says so", async () => {
    const structuredContent = { list: [1, 2, 3, 4, 5] };
    const given = { ...ok(JSON.stringify(structuredContent)), structuredContent };
    const result = await guard(given, 10, withSchema);
    expect(result).toMatchObject({ structuredContent });
    expect(noteOf(result)).toContain("The structured content is complete.");
    const small = { content: [text("5 found")], structuredContent };
    expect(await guard(small, 10, withSchema)).toBe(small);
  });

  it("leaves it out of their errors, for which clients do not ask for it", async () => {
    const structuredContent = { list: [1, 2, 3, 4, 5] };
    const given = { content: [text("no")], isError: true, structuredContent };
    expect(await guard(given, 10, withSchema)).not.toHaveProperty("structuredContent");
  });

  it("passes the result whole where the disk refuses, and says so until it keeps again", async () => {
    told.events.length = 0;
    writeFileSync(join(folder, "results"), "a file");
    const policy = resultGuard({
      optionsOf: () => ({ maxBytes: 10 }),
      keep: (...given) => results.keep(...given),
      report: told.report,
      readTool: "gate-read_result",
    });
    const large = ok("0123456789abc");
    const handle = policy(() => Promise.resolve(large));
    expect(await handle(call())).toBe(large);
    expect(await handle(call())).toBe(large);
    expect(told.events).toEqual([
      {
        type: "gateway.problem",
        problem: expect.stringMatching(
          /^a large result of up__do is passed whole, since it cannot be kept: /,
        ),
      },
    ]);
    rmSync(join(folder, "results"));
    const result = await handle(call());
    expect(pagedOf(result)).toMatchObject({ pages: 2 });
    expect(noteOf(result)).toContain("To read on, call gate-read_result with");
  });
});
