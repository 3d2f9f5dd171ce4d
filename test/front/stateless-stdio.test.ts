import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { StatelessStdio } from "../../src/front/stateless-stdio.ts";
import { Gateway } from "../../src/gateway.ts";
import { Peers } from "../../src/peer.ts";
import { names, shelf, untilCancelled, upstream } from "../support/calls.ts";
import { metaOf, settle } from "../support/stateless.ts";

function setUp() {
  const gateway = new Gateway(names);
  const up = upstream({
    handle: (call) => (call.params["name"] === "say" ? Promise.resolve({}) : untilCancelled(call)),
    lists: () => ({
      tools: [{ name: "do" }],
      prompts: [{ name: "say" }],
      resources: [],
      resourceTemplates: [],
    }),
  });
  gateway.use([{ upstream: up, shelf: shelf("up"), stack: [] }], names);
  const sent: JsonObject[] = [];
  const stdio = new StatelessStdio(
    gateway,
    {
      principal: "local",
      session: "stdio",
      listed: () => Promise.resolve(),
      peers: new Peers(),
      onProblem: () => {},
    },
    (line) => sent.push(JSON.parse(line) as JsonObject),
  );
  const request = (id: unknown, method: string, params: JsonObject = {}): boolean =>
    stdio.take({ jsonrpc: "2.0", id, method, params: { ...params, _meta: metaOf() } });
  const cancel = (requestId: unknown): boolean =>
    stdio.take({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId } });
  const loaded = async (): Promise<void> => {
    // oxlint-disable-next-line no-await-in-loop -- it waits
    while (stdio.inFlight > 0) await settle();
  };
  return { stdio, request, cancel, sent, loaded };
}

describe("requests without a session on stdio", () => {
  it("are answered in the order in which they came, those too that were there before it was loaded", async () => {
    const { request, sent, loaded } = setUp();
    for (const id of [1, "2", 3]) expect(request(id, "server/discover")).toBe(true);
    await loaded();
    request(4, "server/discover");
    expect(sent.map(({ id }) => id)).toEqual([1, "2", 3, 4]);
  });

  it("are taken back by their ids, once, before it was loaded and after", async () => {
    const { stdio, request, cancel, sent, loaded } = setUp();
    request(1, "tools/call", { name: "up__do" });
    expect(cancel(1)).toBe(true);
    request(2, "server/discover");
    await settle();
    while (sent.length === 0) await settle();
    request(3, "tools/call", { name: "up__do" });
    expect(stdio.inFlight).toBeGreaterThan(0);
    expect(cancel(3)).toBe(true);
    expect(cancel(3)).toBe(false);
    await loaded();
    expect(sent.map(({ id }) => id)).toEqual([2]);
  });

  it("are those alone that say so, and notifications are not for them", () => {
    const { stdio, cancel } = setUp();
    expect(stdio.take({ id: 1, method: "tools/list", params: {} })).toBe(false);
    expect(stdio.take({ method: "notifications/initialized" })).toBe(false);
    expect(stdio.take({ id: 1, result: {} })).toBe(false);
    expect(cancel(9)).toBe(false);
  });

  it("are not answered when the client has gone before it was loaded", async () => {
    const { stdio, request, sent } = setUp();
    request(1, "server/discover");
    stdio.close();
    for (let turn = 0; turn < 20; turn++) await settle();
    expect(sent).toEqual([]);
  });
});
