import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { asStatelessError, completeLine, freshnessOf } from "../../src/front/stateless-answers.ts";
import { implementation } from "../../src/version.ts";
import { keepText } from "../../src/wire.ts";
import { ok } from "../support/calls.ts";

const serverKey = "io.modelcontextprotocol/serverInfo";
const resultOf = (result: JsonObject, method = "tools/call"): JsonObject =>
  (JSON.parse(completeLine(1, method, result)) as { result: JsonObject }).result;

/** A result as it came in this text, kept because it is large. */
function large(text: string): JsonObject {
  const line = `{"jsonrpc":"2.0","id":1,"result":${text}}`;
  const answer = JSON.parse(line) as { result: JsonObject };
  keepText(answer, line);
  return answer.result;
}
const much = "x".repeat(70_000);

describe("completeLine", () => {
  it("says that a result is complete, and who gives it", () => {
    expect(resultOf(ok())).toEqual({
      resultType: "complete",
      _meta: { [serverKey]: implementation },
      ...ok(),
    });
    expect(resultOf({})).toEqual({
      resultType: "complete",
      _meta: { [serverKey]: implementation },
    });
  });

  it("leaves what the server says of its result, and of itself", () => {
    const given = { resultType: "task", taskId: "1", _meta: { [serverKey]: { name: "up" } } };
    expect(resultOf(given)).toEqual(given);
  });

  it("adds who gives it to a server's own _meta, and leaves the result as it was", () => {
    const given = { ...ok(), _meta: { "x/y": 1 } };
    expect(resultOf(given)["_meta"]).toEqual({ "x/y": 1, [serverKey]: implementation });
    expect(given["_meta"]).toEqual({ "x/y": 1 });
  });

  it("says that a resource may change at once where its server does not say", () => {
    expect(resultOf({ contents: [] }, "resources/read")).toMatchObject({
      ttlMs: 0,
      cacheScope: "private",
    });
    const given = { contents: [], ttlMs: 5, cacheScope: "public" };
    expect(resultOf(given, "resources/read")).toMatchObject(given);
    expect(resultOf({ resultType: "input_required" }, "resources/read")).not.toHaveProperty(
      "ttlMs",
    );
  });

  it.each(["", " ", "\t"])("passes a large result on as its text (spaces: %j)", (space) => {
    const text = `{${space}"content":[${space}{"type":"text","text":"${much}"}]}`;
    const line = completeLine("a", "tools/call", large(text));
    expect(line).toContain(text.slice(1 + space.length));
    expect(JSON.parse(line)).toMatchObject({
      id: "a",
      result: {
        resultType: "complete",
        _meta: { [serverKey]: implementation },
        content: [{ type: "text", text: much }],
      },
    });
  });

  it("passes a large result on that has its own _meta, without naming us", () => {
    const result = resultOf(large(`{"_meta":{"x/y":1},"text":"${much}"}`));
    expect(result).toEqual({ resultType: "complete", _meta: { "x/y": 1 }, text: much });
  });

  it("puts nothing in front of a large answer whose result is empty", () => {
    expect(resultOf(large(`{${" ".repeat(much.length)}}`))).toMatchObject({
      resultType: "complete",
    });
  });
});

describe("asStatelessError", () => {
  it("knows a resource that is not there by the code of this era, with its URI", () => {
    const error = { code: -32002, message: "Resource not found", data: { why: 1 } };
    expect(asStatelessError(error, { uri: "x:1" })).toEqual({
      code: -32602,
      message: "Resource not found",
      data: { why: 1, uri: "x:1" },
    });
  });

  it("leaves other errors as they are", () => {
    const error = { code: -7, message: "no" };
    expect(asStatelessError(error, {})).toBe(error);
  });
});

describe("freshnessOf", () => {
  const fresh = (ttlMs: number, cacheScope: "public" | "private") => ({ ttlMs, cacheScope });

  it("is the least that all allow", () => {
    expect(freshnessOf([fresh(9, "public"), fresh(5, "public")])).toEqual(fresh(5, "public"));
    expect(freshnessOf([fresh(9, "public"), fresh(50, "private")])).toEqual(fresh(9, "private"));
    expect(freshnessOf([fresh(9, "public"), undefined])).toEqual(fresh(0, "private"));
  });

  it("is none of a list that nobody makes", () => {
    expect(freshnessOf([])).toEqual(fresh(0, "private"));
  });
});
