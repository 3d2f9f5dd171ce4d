import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { KeptResults, type KeptResultsOptions } from "../../src/results/kept-results.ts";
import { outcomeOf } from "../support/calls.ts";

let base = "";
let folder = "";
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "holdfast-"));
  folder = join(base, "results");
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const open = (over: Partial<KeptResultsOptions> = {}): KeptResults =>
  new KeptResults({ folder, ...over });
const caller = { principal: "ann", session: "s1", client: "test" };
const textOf = (page: object | undefined): unknown => page && "text" in page && page.text;

/** Makes every file so many milliseconds older. */
function age(ms: number): void {
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    const then = new Date(statSync(file).mtimeMs - ms);
    utimesSync(file, then, then);
  }
}

describe("KeptResults", () => {
  it("gives back a text in pages, and whole as a resource, also after a restart", async () => {
    const kept = await open().keep("0123456789", caller, 4);
    expect(kept).toMatchObject({ bytes: 10, pages: 3, pageBytes: 4, first: "0123" });
    const { id, uri } = kept;
    const results = open();
    expect(await results.page(id, 1, caller)).toEqual({ id, page: 1, pages: 3, text: "0123" });
    expect(await results.page(id, 2, caller)).toEqual({ id, page: 2, pages: 3, text: "4567" });
    expect(await results.page(id, 3, caller)).toEqual({ id, page: 3, pages: 3, text: "89" });
    expect(await results.page(id, 4, caller)).toEqual({ id, page: 4, pages: 3 });
    expect(uri).toBe(`holdfast://results/${id}`);
    expect(await results.read(uri, caller)).toEqual({
      contents: [{ uri, mimeType: "text/plain", text: "0123456789" }],
    });
  });

  it("cuts no character, whatever the text and the size of its pages", async () => {
    const results = open();
    const text = fc.string({ unit: "binary", minLength: 1, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 1, max: 20 }), async (given, pageBytes) => {
        const { id, pages, first } = await results.keep(given, caller, pageBytes);
        const texts = [];
        for (let page = 1; page <= pages; page++)
          texts.push(textOf(await results.page(id, page, caller)));
        expect(texts.join("")).toBe(given);
        expect(texts[0]).toBe(first);
        expect(texts.join("")).not.toContain("\ufffd");
      }),
      {
        numRuns: 200,
        examples: [
          ["😀".repeat(9), 5],
          ["aé€😀".repeat(5), 4],
          ["aaa😀", 6],
        ],
      },
    );
  });

  it("is for the caller alone: neither another principal nor another session can read it", async () => {
    const results = open();
    const { id, uri } = await results.keep("secret", caller, 100);
    for (const other of [
      { ...caller, principal: "bob" },
      { ...caller, session: "s2" },
      { principal: "ann s1", session: "", client: "" },
    ]) {
      expect(await results.page(id, 1, other)).toBeUndefined();
      expect(await results.read(uri, other)).toBeUndefined();
    }
    expect(await results.page(id, 1, { ...caller, client: "newer" })).toMatchObject({ page: 1 });
  });

  it("is for its owner alone on disk, with ids that cannot be guessed", async () => {
    const results = open();
    const ids = await Promise.all(
      Array.from({ length: 20 }, async () => (await results.keep("x", caller, 9)).id),
    );
    expect(new Set(ids).size).toBe(20);
    for (const id of ids) expect(id).toMatch(/^[\w-]{24}$/);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(folder)) {
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
      expect(name).not.toContain("ann");
    }
  });

  it.each(["", "..", "../results", "a/../b", "\u0000", "x".repeat(24), "x".repeat(5000)])(
    "knows no result by what is no id: %j",
    async (id) => {
      const results = open();
      await results.keep("x", caller, 9);
      expect(await results.page(id, 1, caller)).toBeUndefined();
      expect(await results.read(`holdfast://results/${id}`, caller)).toBeUndefined();
      expect(await results.read(`file:///${id}`, caller)).toBeUndefined();
    },
  );

  it("does not give what is too old, and removes it", async () => {
    const results = open({ maxAgeMs: 10_000 });
    const { id } = await results.keep("old", caller, 9);
    age(9000);
    expect(await results.page(id, 1, caller)).toMatchObject({ text: "old" });
    age(2000);
    expect(await results.page(id, 1, caller)).toBeUndefined();
    await results.keep("new", caller, 9);
    expect(readdirSync(folder)).toHaveLength(2);
    await results.sweep();
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it("looks through the folder with the first text that it keeps", async () => {
    await open().keep("old", caller, 9);
    age(25 * 3_600_000);
    await open().keep("new", caller, 9);
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it("keeps no more than its size, and drops the oldest first", async () => {
    const results = open({ maxBytes: 1000 });
    const ids: string[] = [];
    for (let n = 0; n < 20; n++) {
      ids.push((await results.keep("x".repeat(184), caller, 50)).id);
      age(1000);
    }
    const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
    expect(sizes).toEqual([200, 200, 200, 200, 200]);
    for (const [n, id] of ids.entries())
      expect((await results.page(id, 1, caller)) !== undefined).toBe(n >= 15);
  });

  it("keeps to its size when many are kept at once", async () => {
    const results = open({ maxBytes: 1000 });
    await Promise.all(Array.from({ length: 20 }, () => results.keep("x".repeat(184), caller, 50)));
    await results.sweep();
    expect(readdirSync(folder).length).toBeLessThanOrEqual(5);
  });

  it("refuses what is larger than all may be together", async () => {
    const results = open({ maxBytes: 100 });
    expect(await outcomeOf(results.keep("x".repeat(100), caller, 50))).toMatchObject({
      message: "100 bytes do not fit in a store of 100",
    });
  });

  it("says when the disk refuses, and knows nothing then", async () => {
    writeFileSync(folder, "a file");
    const results = open();
    expect(await outcomeOf(results.keep("x", caller, 9))).toBeInstanceOf(Error);
    await results.sweep();
    rmSync(folder);
    mkdirSync(folder);
    expect(await results.keep("x", caller, 9)).toMatchObject({ pages: 1 });
  });
});
