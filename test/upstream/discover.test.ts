import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import type { ServerInfo } from "../../src/upstream/connection.ts";
import { discover } from "../../src/upstream/discover.ts";
import { OwnRequests } from "../../src/upstream/own-requests.ts";
import { outcomeOf } from "../support/calls.ts";

/** What is found of a server that gives these answers, and what it was sent. */
function found(...answers: JsonObject[]) {
  const sent: JsonObject[] = [];
  const own = new OwnRequests("up", (message) => {
    const answer = answers[sent.length];
    sent.push(message);
    if (answer !== undefined)
      queueMicrotask(() => own.receive({ jsonrpc: "2.0", id: message["id"], ...answer }));
    return undefined;
  });
  return {
    sent,
    info: outcomeOf<ServerInfo | undefined>(discover("up", own, { roots: {} }, 1000)),
  };
}

const answer = (over: JsonObject = {}): JsonObject => ({
  result: {
    resultType: "complete",
    supportedVersions: ["2026-07-28"],
    capabilities: { tools: {} },
    instructions: "Be kind.",
    _meta: { "io.modelcontextprotocol/serverInfo": { name: "fake", version: "1" } },
    ...over,
  },
});
const refusal = (code: number, data?: unknown): JsonObject => ({
  error: { code, message: "no", data },
});

describe("discover", () => {
  it("tells what the server says of itself, and tells it what the client can do", async () => {
    const { info, sent } = found(answer());
    expect(await info).toEqual({
      name: "fake",
      version: "1",
      protocolVersion: "2026-07-28",
      capabilities: { tools: {} },
      instructions: "Be kind.",
    });
    expect(sent).toMatchObject([
      {
        method: "server/discover",
        params: {
          _meta: {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { name: "holdfast" },
            "io.modelcontextprotocol/clientCapabilities": { roots: {} },
          },
        },
      },
    ]);
  });

  it.each([
    ["an unknown method", refusal(-32601)],
    ["any other error", refusal(-32000)],
    ["a result that is none", { result: {} }],
    ["a result that names older versions alone", answer({ supportedVersions: ["2025-11-25"] })],
    ["a refusal that names older versions alone", refusal(-32022, { supported: ["2025-11-25"] })],
  ])("takes %s for the older era", async (_, said) => {
    const { info, sent } = found(said);
    expect(await info).toBeUndefined();
    expect(sent).toHaveLength(1);
  });

  it("asks again where the version is refused and named as one that is supported", async () => {
    const { info, sent } = found(refusal(-32022, { supported: ["2026-07-28"] }), answer());
    expect(await info).toMatchObject({ name: "fake" });
    expect(sent).toHaveLength(2);
  });

  it.each([
    ["speaks only versions to come", answer({ supportedVersions: ["2031-01-01"] }), /2031-01-01/],
    ["refuses for them", refusal(-32022, { supported: ["2031-01-01"] }), /2031-01-01/],
    ["wants other headers", refusal(-32020), /no/],
    ["wants more of the client", refusal(-32021), /no/],
  ])("rejects where the server is of the newer era and %s", async (_, said, message) => {
    expect(((await found(said).info) as unknown as Error).message).toMatch(message);
  });
});
