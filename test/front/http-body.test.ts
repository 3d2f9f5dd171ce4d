import { describe, expect, it } from "vitest";
import { parseBody } from "../../src/front/http-body.ts";

const parse = (text: string, maxBatch = 3) => parseBody(Buffer.from(text), maxBatch);
const ping = { jsonrpc: "2.0", id: 1, method: "ping" };

describe("a body", () => {
  it.each([
    ["a request", ping],
    ["a request with a text for its id", { ...ping, id: "a" }],
    ["a notification", { jsonrpc: "2.0", method: "notifications/initialized" }],
    ["a result", { jsonrpc: "2.0", id: 1, result: {} }],
    ["an error", { jsonrpc: "2.0", id: 1, error: { code: 1, message: "" } }],
    ["an error about what had no id", { jsonrpc: "2.0", id: null, error: {} }],
  ])("may be %s", (_, message) => {
    expect(parse(JSON.stringify(message))).toEqual({ messages: [message], isBatch: false });
  });

  it("may be a list of them, up to a length", () => {
    expect(parse(JSON.stringify([ping]))).toEqual({ messages: [ping], isBatch: true });
    expect(parse(JSON.stringify([ping, ping, ping]))).toMatchObject({ isBatch: true });
    expect(parse(JSON.stringify([ping, ping, ping, ping]))).toMatchObject({ status: 400 });
  });

  it.each([
    "",
    "null",
    '"text"',
    "[]",
    "[1]",
    "{}",
    '[{"jsonrpc":"2.0","id":1,"method":"ping"},{}]',
    '{"jsonrpc":"1.0","id":1,"method":"ping"}',
    '{"jsonrpc":"2.0","id":null,"method":"ping"}',
    '{"jsonrpc":"2.0","id":true,"method":"ping"}',
    '{"jsonrpc":"2.0","id":1,"method":7}',
    '{"jsonrpc":"2.0","result":{}}',
    '{"jsonrpc":"2.0","id":1}',
  ])("is refused where it is %j", (text) => {
    expect(parse(text)).toMatchObject({ status: 400 });
  });

  it("may be nested 200 deep and no deeper, however it is written", () => {
    const nested = (depth: number): string => {
      const inner = depth - 1;
      return JSON.stringify(ping).replace(
        "}",
        `,"params":${"[ ".repeat(inner)}${"]".repeat(inner)}}`,
      );
    };
    expect(parse(nested(200))).toMatchObject({ isBatch: false });
    expect(parse(nested(201))).toMatchObject({ status: 400 });
  });

  it("may hold any brackets in its texts", () => {
    const message = { ...ping, params: { a: '"\\"[{'.repeat(500), b: "\\", c: "[".repeat(500) } };
    expect(parse(JSON.stringify(message))).toMatchObject({ messages: [message] });
  });
});
