import { describe, expect, it } from "vitest";
import { isStateless } from "../../src/era.ts";
import { readMeta } from "../../src/front/stateless-meta.ts";
import { metaOf } from "../support/stateless.ts";

const versionKey = "io.modelcontextprotocol/protocolVersion";
const capabilitiesKey = "io.modelcontextprotocol/clientCapabilities";
const levelKey = "io.modelcontextprotocol/logLevel";

describe("isStateless", () => {
  it.each([
    ["names its version", { method: "tools/list", params: { _meta: { [versionKey]: "x" } } }, true],
    [
      "names what its client can do",
      { method: "a", params: { _meta: { [capabilitiesKey]: {} } } },
      true,
    ],
    ["is what clients of that era begin with", { method: "server/discover" }, true],
    ["has another _meta", { method: "tools/list", params: { _meta: { progressToken: 1 } } }, false],
    ["has none", { method: "initialize", params: { protocolVersion: "2025-11-25" } }, false],
    ["has a _meta that is none", { method: "tools/list", params: { _meta: "x" } }, false],
  ])("tells of a request which %s", (_, message, expected) => {
    expect(isStateless(message)).toBe(expected);
  });
});

describe("readMeta", () => {
  it("keeps what is not for us", () => {
    const meta = metaOf({ roots: {} }, { progressToken: 7, [levelKey]: "info", "x/y": 1 });
    expect(readMeta({ _meta: meta })).toEqual({
      capabilities: { roots: {} },
      client: "test 1",
      level: 1,
      progressToken: 7,
      rest: { progressToken: 7, [levelKey]: "info", "x/y": 1 },
    });
  });

  it("wants no log messages where no level is named, and takes a client without a name", () => {
    const meta = { [versionKey]: "2026-07-28", [capabilitiesKey]: {} };
    expect(readMeta({ _meta: meta })).toMatchObject({ level: Infinity, client: "" });
  });

  it.each([
    ["no params", undefined],
    ["no _meta", {}],
    ["no version", { _meta: { [capabilitiesKey]: {} } }],
    ["no capabilities", { _meta: { [versionKey]: "2026-07-28" } }],
    ["capabilities that are a list", { _meta: metaOf({}, { [capabilitiesKey]: [] }) }],
    ["a level that there is not", { _meta: metaOf({}, { [levelKey]: "loud" }) }],
  ])("refuses %s", (_, params) => {
    expect(readMeta(params)).toMatchObject({ code: -32602 });
  });

  it("says which versions are spoken where that of the request is none of them", () => {
    expect(readMeta({ _meta: { [versionKey]: "1900-01-01" } })).toMatchObject({
      code: -32022,
      data: { supported: ["2026-07-28"], requested: "1900-01-01" },
    });
  });
});
