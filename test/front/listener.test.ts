import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Call, Handle, JsonObject } from "../../src/call.ts";
import { CallError, cancelled } from "../../src/errors.ts";
import { setUpStateless, type Sent } from "../support/stateless.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const idKey = "io.modelcontextprotocol/subscriptionId";
const acknowledged = "notifications/subscriptions/acknowledged";
const settle = (ms = 20) => vi.advanceTimersByTimeAsync(ms);
const methods = ({ notes }: Sent): unknown[] => notes.map(({ method }) => method);

function setUp(handle: Handle = () => Promise.resolve({})) {
  const world = setUpStateless(handle);
  const listen = async (notifications: unknown, id?: string): Promise<Sent> => {
    const sent = world.send("subscriptions/listen", { notifications }, undefined, id);
    await settle();
    return sent;
  };
  const updated = (uri: string): void => world.notified("notifications/resources/updated", { uri });
  return { ...world, listen, updated };
}

describe("a client that listens", () => {
  it("is told first what it will hear, and each notice by the id of its request", async () => {
    const { listen, setLists } = setUp();
    const sent = await listen({ toolsListChanged: true, promptsListChanged: false, x: 1 }, "mine");
    setLists({ tools: [{ name: "other" }], prompts: [] });
    await settle(100);
    expect(sent.notes).toEqual([
      {
        jsonrpc: "2.0",
        method: acknowledged,
        params: { notifications: { toolsListChanged: true }, _meta: { [idKey]: "mine" } },
      },
      {
        jsonrpc: "2.0",
        method: "notifications/tools/list_changed",
        params: { _meta: { [idKey]: "mine" } },
      },
    ]);
  });

  it("hears of a list once a second at most, and only where its content is another", async () => {
    const { listen, setLists } = setUp();
    const sent = await listen({ resourcesListChanged: true });
    setLists({ resources: [{ uri: "x:1" }] });
    await settle(2000);
    expect(methods(sent)).toEqual([acknowledged]);
    for (let n = 2; n < 12; n++) {
      setLists({ resources: [{ uri: `x:${n}` }], resourceTemplates: [{ uriTemplate: `y:${n}` }] });
      await settle(100);
    }
    expect(methods(sent).length).toBe(2);
    await settle(1000);
    expect(methods(sent).length).toBe(3);
  });

  it("hears of the resources that it names, and of what is part of them", async () => {
    const seen: Call[] = [];
    const { listen, updated } = setUp((call) => {
      seen.push(call);
      return Promise.resolve({});
    });
    const sent = await listen({ resourceSubscriptions: ["x:1", "x:1"] });
    expect(seen).toMatchObject([{ method: "resources/subscribe", params: { uri: "x:1" } }]);
    for (const uri of ["x:1", "x:1/part", "x:2"]) updated(uri);
    expect(sent.notes.map(({ params }) => (params as JsonObject)["uri"])).toEqual([
      undefined,
      "x:1",
      "x:1/part",
    ]);
    expect(sent.notes[0]).toMatchObject({
      params: { notifications: { resourceSubscriptions: ["x:1"] } },
    });
  });

  it("waits for a server that is not there yet to hear of its resources", async () => {
    let come = (): void => {};
    const listed = new Promise<void>((resolve) => (come = resolve));
    const world = setUpStateless(() => Promise.resolve({}), { listed: () => listed, later: true });
    const wanted = { notifications: { resourceSubscriptions: ["x:1"] } };
    const sent = world.send("subscriptions/listen", wanted);
    await settle(1000);
    expect(sent.notes).toEqual([]);
    world.connect();
    come();
    await settle();
    expect(sent.notes).toMatchObject([
      { params: { notifications: { resourceSubscriptions: ["x:1"] } } },
    ]);
  });

  it("hears of a resource by the name that it knows", async () => {
    const { listen, updated } = setUp();
    const sent = await listen({ resourceSubscriptions: ["holdfast://up/x:1"] });
    updated("x:1");
    expect(sent.notes[1]).toMatchObject({ params: { uri: "holdfast://up/x:1" } });
  });

  it("is not told that it will hear of what no server takes", async () => {
    const rpc = { code: -32601, message: "no" };
    const { listen } = setUp(() =>
      Promise.reject(new CallError("upstream_error", "no", { outcome: "answered", rpc })),
    );
    const sent = await listen({ resourceSubscriptions: ["x:1"], toolsListChanged: true });
    expect(sent.notes).toMatchObject([{ params: { notifications: { toolsListChanged: true } } }]);
    expect(JSON.stringify(sent.notes)).not.toContain("resourceSubscriptions");
  });

  it("is told what it hears after some time, though a server takes its time, and then what came meanwhile", async () => {
    const { listen, updated } = setUp(({ params }) =>
      params["uri"] === "x:1" ? Promise.resolve({}) : new Promise(() => {}),
    );
    const sent = await listen({ resourceSubscriptions: ["x:1", "x:2"] });
    updated("x:1");
    expect(sent.notes).toEqual([]);
    await settle(5000);
    expect(methods(sent)).toEqual([acknowledged, "notifications/resources/updated"]);
    expect(sent.notes[0]).toMatchObject({
      params: { notifications: { resourceSubscriptions: ["x:1"] } },
    });
  });

  it("hears nothing more when it has ended that, and the servers are told", async () => {
    const { listen, setLists, updated, left, stateless } = setUp();
    const sent = await listen({ toolsListChanged: true, resourceSubscriptions: ["x:1"] });
    sent.exchange.cancel(cancelled("enough"));
    updated("x:1");
    setLists({ tools: [] });
    await settle(2000);
    expect(methods(sent)).toEqual([acknowledged]);
    expect(sent.answer).toBeUndefined();
    expect(left).toEqual([expect.stringMatching(/^test-listener-/)]);
    stateless.close();
    expect(left).toHaveLength(1);
  });

  it("may listen to several things at once", async () => {
    const { listen, setLists } = setUp();
    const tools = await listen({ toolsListChanged: true });
    const prompts = await listen({ promptsListChanged: true });
    tools.exchange.cancel(cancelled("enough"));
    setLists({ tools: [], prompts: [] });
    await settle(100);
    expect(methods(tools)).toEqual([acknowledged]);
    expect(methods(prompts)).toEqual([acknowledged, "notifications/prompts/list_changed"]);
  });

  it("is told of the end where it is ours", async () => {
    const { listen, stateless } = setUp();
    const sent = await listen({ toolsListChanged: true }, "mine");
    stateless.close();
    expect(sent.answer).toMatchObject({ resultType: "complete", _meta: { [idKey]: "mine" } });
  });

  it.each([
    [undefined],
    ["all"],
    [{ resourceSubscriptions: "x:1" }],
    [{ resourceSubscriptions: [1] }],
    [{ resourceSubscriptions: Array.from({ length: 1001 }, (_, index) => `x:${index}`) }],
  ])("has to say what it wants, and not too much: %#", async (wanted) => {
    const { listen } = setUp();
    expect(await listen(wanted)).toMatchObject({ answer: { code: -32602 }, notes: [] });
  });

  it("does not count as a request that is waited for", async () => {
    const { listen, stateless } = setUp();
    await listen({ toolsListChanged: true });
    expect(stateless.inFlight).toBe(0);
  });
});
