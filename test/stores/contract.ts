import { describe, expect, it } from "vitest";
import type { CacheEntry, CacheStore, Invalidation } from "../../src/stores/store.ts";
import { ok } from "../support/calls.ts";

/** An entry that is fresh for a minute. */
export function entry(over: Partial<CacheEntry> = {}): CacheEntry {
  const storedAt = Date.now();
  return {
    result: ok(),
    tool: "up__do",
    upstream: "up",
    uri: undefined,
    storedAt,
    freshUntil: storedAt + 60_000,
    staleUntil: storedAt + 60_000,
    ttlMs: 60_000,
    hits: 0,
    epoch: 0,
    ...over,
  };
}

/** What every store must do. `make` gives an empty one. */
export function storeContract(name: string, make: () => CacheStore | Promise<CacheStore>): void {
  describe(name, () => {
    it("gives what was put in, and nothing for other keys", async () => {
      const store = await make();
      const kept = entry({ result: { content: [], structuredContent: { a: [1, "é", null] } } });
      await store.set("k", kept);
      expect(await store.get("k")).toEqual(kept);
      expect(await store.get("other")).toBeUndefined();
    });

    it("takes keys of any text", async () => {
      const store = await make();
      const keys = ["", " ", "{}\n\nup", "é😀", "__proto__", "*", "x".repeat(10_000)];
      for (const key of keys) await store.set(key, entry({ result: ok(key) }));
      for (const key of keys) expect((await store.get(key))?.result).toEqual(ok(key));
    });

    it("puts a new entry in place of the old one, whose hits are gone", async () => {
      const store = await make();
      await store.set("k", entry({ result: ok("old") }));
      await store.hit("k");
      await store.set("k", entry({ result: ok("new") }));
      expect(await store.get("k")).toMatchObject({ result: ok("new"), hits: 0 });
    });

    it("counts the hits of an entry, and none where there is no entry", async () => {
      const store = await make();
      await store.set("k", entry());
      await store.hit("k");
      await store.hit("k");
      await store.hit("other");
      expect((await store.get("k"))?.hits).toBe(2);
      expect(await store.get("other")).toBeUndefined();
    });

    const kept = {
      a: entry({ tool: "up__read", upstream: "up" }),
      b: entry({ tool: "up__list", upstream: "up" }),
      c: entry({ tool: "other__read", upstream: "other" }),
      d: entry({ tool: undefined, upstream: "up", uri: "file:///a" }),
      e: entry({ tool: undefined, upstream: "other", uri: "file:///a" }),
    };
    const cases: [string, Invalidation, string[]][] = [
      ["by key", { key: "a" }, ["a"]],
      ["by a key that is not there", { key: "x" }, []],
      ["by upstream", { upstream: "up" }, ["a", "b", "d"]],
      ["by tool", { tools: ["up__read"] }, ["a"]],
      ["by globs over tools", { tools: ["*__read", "up__l*"] }, ["a", "b", "c"]],
      ["by no tool", { tools: [] }, []],
      ["by resource", { upstream: "up", uri: "file:///a" }, ["d"]],
      ["all", "all", ["a", "b", "c", "d", "e"]],
    ];
    for (const [how, what, gone] of cases)
      it(`removes entries ${how}, and says how many`, async () => {
        const store = await make();
        for (const [key, value] of Object.entries(kept)) await store.set(key, value);
        expect(await store.invalidate(what)).toBe(gone.length);
        for (const [key, value] of Object.entries(kept))
          expect(await store.get(key)).toEqual(gone.includes(key) ? undefined : value);
        expect((await store.stats()).entries).toBe(5 - gone.length);
      });

    it("is in another generation after each invalidation, whether or not it removed anything", async () => {
      const store = await make();
      const first = store.generation;
      await store.set("k", entry());
      expect(store.generation).toBe(first);
      await store.invalidate("all");
      const second = store.generation;
      await store.invalidate({ key: "x" });
      expect(new Set([first, second, store.generation]).size).toBe(3);
    });

    it("tells how much it holds", async () => {
      const store = await make();
      expect(await store.stats()).toEqual({ entries: 0, bytes: 0 });
      await store.set("k", entry({ result: ok("x".repeat(1000)) }));
      const { entries, bytes } = await store.stats();
      expect(entries).toBe(1);
      expect(bytes).toBeGreaterThan(1000);
    });
  });
}
