import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Call } from "../src/call.ts";
import { callKey, canonical } from "../src/canonical.ts";
import { call, tool } from "./support/calls.ts";

/** The same value, with the members of each object in the opposite order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, member]) => [key, reversed(member)]),
  );
}

/** JSON values as they come over the wire, with names and texts of every kind. */
const json = fc.jsonValue({ stringUnit: "binary" }).map((value) => JSON.stringify(value));

describe("canonical", () => {
  it("is JSON text of the same value", () => {
    fc.assert(
      fc.property(json, (text) => {
        expect(JSON.parse(canonical(JSON.parse(text)))).toEqual(JSON.parse(text));
      }),
    );
  });

  it("does not depend on the order of members, at any depth", () => {
    fc.assert(
      fc.property(json, (text) => {
        const value: unknown = JSON.parse(text);
        expect(canonical(reversed(value))).toBe(canonical(value));
      }),
    );
  });

  it("tells different values apart", () => {
    const small = fc.jsonValue({ maxDepth: 1 }).map((value) => JSON.stringify(value));
    fc.assert(
      fc.property(small, small, (one, other) => {
        const [a, b] = [JSON.parse(one), JSON.parse(other)] as [unknown, unknown];
        expect(canonical(a) === canonical(b)).toBe(isDeepStrictEqual(a, b));
      }),
    );
  });

  it("writes each text as JSON does", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 80 }), (text) => {
        expect(canonical(text)).toBe(JSON.stringify(text));
      }),
    );
    for (const text of ['a"b', "a\\b", "a\nb", "\u007f", "\u2028", "\ud800", "é", "😀"])
      expect(canonical(text)).toBe(JSON.stringify(text));
  });

  it("keeps members whose names mean something to the language", () => {
    expect(canonical(JSON.parse('{"b":1,"__proto__":{"a":1},"10":0,"9":0}'))).toBe(
      '{"10":0,"9":0,"__proto__":{"a":1},"b":1}',
    );
  });

  it("leaves out members without a value, as JSON does", () => {
    expect(canonical({ b: undefined, a: [undefined, Number.NaN, null, true] })).toBe(
      '{"a":[null,null,null,true]}',
    );
    expect(canonical(undefined)).toBe("null");
  });
});

const parts = fc.record({
  upstream: fc.constantFrom("one", "two"),
  method: fc.constantFrom("tools/call", "resources/read"),
  remoteName: fc.string(),
  params: fc.dictionary(fc.string(), fc.jsonValue()),
  meta: fc.option(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), { nil: undefined }),
});
type Parts = typeof parts extends fc.Arbitrary<infer Value> ? Value : never;
const callOf = ({ remoteName, ...rest }: Parts): Call =>
  call({ ...rest, tool: tool({ remoteName }) });

describe("callKey", () => {
  it("is the same for calls that differ in the order of members and in tracing alone", () => {
    fc.assert(
      fc.property(parts, fc.string(), (given, id) => {
        const { params, meta } = given;
        const other = callOf({
          ...given,
          params: reversed(params) as Parts["params"],
          meta: {
            progressToken: id,
            traceparent: id,
            ...(reversed(meta ?? {}) as Parts["meta"]),
            tracestate: id,
            baggage: id,
            "claudecode/toolUseId": id,
          },
        });
        expect(callKey(other)).toBe(callKey(callOf(given)));
      }),
    );
  });

  it("differs where anything else differs", () => {
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        expect(callKey(callOf(one)) === callKey(callOf(other))).toBe(isDeepStrictEqual(one, other));
      }),
    );
    const one = call();
    const others: Partial<Call>[] = [
      { upstream: "other" },
      { method: "prompts/get" },
      { tool: tool({ remoteName: "other" }) },
      { params: { name: "do", arguments: { a: 1 } } },
      { params: { name: "do" } },
      { meta: { a: 1 } },
    ];
    const keys = [one, ...others.map(call)].map(callKey);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("does not depend on who calls, nor under which exposed name", () => {
    const caller = { principal: "other", session: "other", client: "other" };
    expect(callKey(call({ caller, tool: tool({ name: "alias" }) }))).toBe(callKey(call()));
  });
});
