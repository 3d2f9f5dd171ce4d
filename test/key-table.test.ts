import fc from "fast-check";
import { expect, it } from "vitest";
import { KeyTable } from "../src/key-table.ts";

it("holds what a Map holds, whatever comes and goes", () => {
  // Few keys, and long ones that differ where the hash does not look, so that chains are long.
  const key = fc.oneof(
    fc.string({ maxLength: 2 }),
    fc.nat(1000).map((n) => `${"x".repeat(101)}${String.fromCharCode(n)}${"y".repeat(100)}`),
    fc.nat(300),
    fc.double({ noNaN: true }),
  );
  const step = fc.record({ key, adds: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const table = new KeyTable<string | number, object>();
      const map = new Map<string | number, object>();
      for (const { key: one, adds } of steps) {
        const there = map.get(one);
        expect(table.get(one)).toBe(there);
        if (adds && there === undefined) {
          const value = {};
          map.set(one, value);
          table.add(one, value);
        } else if (there !== undefined) {
          table.remove(one, {});
          expect(table.get(one)).toBe(there);
          table.remove(one, there);
          map.delete(one);
        }
        expect(table.size).toBe(map.size);
      }
      expect(new Map(table.entries())).toEqual(map);
      expect(new Set(table.values())).toEqual(new Set(map.values()));
    }),
  );
});

it("holds thousands, and lets all of them go", () => {
  const table = new KeyTable<number, { readonly n: number }>();
  const all = Array.from({ length: 10_000 }, (_, n) => ({ n }));
  for (const one of all) table.add(one.n, one);
  expect(all.every((one) => table.get(one.n) === one)).toBe(true);
  for (const one of all) table.remove(one.n, one);
  expect(table.size).toBe(0);
  expect(table.values()).toEqual([]);
});

it("finds the later value of a key that was added twice, also when it has grown, and then the earlier one", () => {
  const table = new KeyTable<number, string>();
  table.add(1, "first");
  table.add(1, "second");
  for (let n = 2; n < 1000; n++) table.add(n, "other");
  expect(table.get(1)).toBe("second");
  table.remove(1, "second");
  expect(table.get(1)).toBe("first");
});
