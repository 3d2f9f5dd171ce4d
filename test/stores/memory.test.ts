import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../src/stores/memory.ts";
import type { Result } from "../../src/call.ts";
import { keepText, resultLine } from "../../src/wire.ts";
import { ok } from "../support/calls.ts";
import { entry, storeContract } from "./contract.ts";

storeContract("MemoryStore", () => new MemoryStore({ maxEntries: 100, maxBytes: 1_000_000 }));

describe("the bounds of a MemoryStore", () => {
  it("lets the entry longest unused go first", () => {
    const store = new MemoryStore({ maxEntries: 2, maxBytes: 10_000 });
    store.set("a", entry());
    store.set("b", entry());
    store.get("a");
    store.set("c", entry());
    expect(["a", "b", "c"].map((key) => store.get(key) !== undefined)).toEqual([true, false, true]);
    expect(store.stats().entries).toBe(2);
  });

  it("holds no more bytes than it may, keys and characters of several bytes counted", () => {
    const store = new MemoryStore({ maxEntries: 1000, maxBytes: 10_000 });
    for (let n = 0; n < 100; n++) {
      store.set(`key ${n}`, entry({ result: ok("é".repeat(500)) }));
      expect(store.stats().bytes).toBeLessThanOrEqual(10_000);
    }
    expect(store.stats().entries).toBe(9);
    store.set("x".repeat(9000), entry());
    expect(store.stats().entries).toBe(1);
  });

  it("keeps nothing that is larger than all it may hold, nor what was there before", () => {
    const store = new MemoryStore({ maxEntries: 10, maxBytes: 1000 });
    store.set("other", entry());
    store.set("k", entry({ result: ok("old") }));
    store.set("k", entry({ result: ok("x".repeat(1000)) }));
    expect(store.get("k")).toBeUndefined();
    expect(store.get("other")).toBeDefined();
  });

  it("does not keep the text that a result came as beside the result", () => {
    const line = '{"jsonrpc":"2.0","id":1000000001,"result":{ "content": [] }}';
    const answer = JSON.parse(line) as { result: Result };
    keepText(answer, line);
    const store = new MemoryStore({ maxEntries: 10, maxBytes: 1000 });
    store.set("k", entry({ result: answer.result }));
    expect(resultLine(1, store.get("k")?.result ?? {})).toContain('{"content":[]}');
    expect(resultLine(1, answer.result)).toContain('{ "content": [] }');
  });

  it("does not change the entry that it was given", () => {
    const store = new MemoryStore({ maxEntries: 10, maxBytes: 1000 });
    const given = entry();
    store.set("k", given);
    store.hit("k");
    expect(given.hits).toBe(0);
  });
});
