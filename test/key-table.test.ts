import fc from "fast-check";
import { expect, it } from "vitest";
import { KeyTable } from "../src/key-table.ts";

it("holds what a Map holds, whatever comes and goes", () => {
  // Few keys, and long ones that differ where the hash does not look, so that chains are long.
  const key = fc.oneof(
    fc.string({ maxLength: 2 }),
    fc.nat(1000).map((n) => `${"x".repeat(101)}${String.fromCharCode(n)}${"y".repeat(100)}`),
  );
  const step = fc.record({ key, adds: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const table = new KeyTable<object>();
      const map = new Map<string, object>();
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
    }),
  );
});
