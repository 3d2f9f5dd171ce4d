import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { CallError } from "../../src/errors.ts";
import { Listening } from "../../src/upstream/listening.ts";
import { outcomeOf } from "../support/calls.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const key = "io.modelcontextprotocol/subscriptionId";
const everything = { tools: { listChanged: true }, resources: { listChanged: true } };
const broken = new CallError("connection_lost", "it broke", { outcome: "unknown" });

function setUp() {
  const sent: JsonObject[] = [];
  const told: [string, JsonObject][] = [];
  const problems: string[] = [];
  const listening = new Listening({
    upstream: "up",
    send: (message) => void sent.push(message),
    meta: { who: "us" },
    tell: (...words) => told.push(words),
    problem: (problem) => problems.push(problem),
  });
  const idOf = (index: number): unknown => sent[index]?.["id"];
  const note = (index: number, method: string, params: JsonObject = {}): boolean =>
    listening.take(method, { ...params, _meta: { [key]: idOf(index) } });
  const agree = (index: number, notifications?: JsonObject): boolean =>
    note(index, "notifications/subscriptions/acknowledged", {
      notifications:
        notifications ?? (sent[index]?.["params"] as JsonObject | undefined)?.["notifications"],
    });
  return { listening, sent, told, problems, idOf, note, agree };
}

describe("listening to lists", () => {
  it("asks for what is announced, and tells of it without the stream's id", async () => {
    const { listening, sent, told, note, agree } = setUp();
    const agreed = listening.toLists({ ...everything, prompts: {} });
    expect(sent).toMatchObject([
      {
        method: "subscriptions/listen",
        params: {
          notifications: { toolsListChanged: true, resourcesListChanged: true },
          _meta: { who: "us" },
        },
      },
    ]);
    agree(0);
    await agreed;
    expect(note(0, "notifications/tools/list_changed")).toBe(true);
    expect(told).toEqual([["notifications/tools/list_changed", {}]]);
    expect(listening.take("notifications/message", { data: 1 })).toBe(false);
  });

  it("asks for nothing where nothing is announced", async () => {
    const { listening, sent } = setUp();
    await listening.toLists({ tools: {} });
    expect(sent).toEqual([]);
  });

  it("opens a stream that broke again, ever more slowly, and then takes all for changed", async () => {
    const { listening, sent, told, problems, idOf, agree } = setUp();
    void listening.toLists(everything);
    agree(0);
    for (const wait of [313, 625, 1250, 2500]) {
      listening.ended(idOf(sent.length - 1), broken);
      const before = sent.length;
      await vi.advanceTimersByTimeAsync(wait);
      expect(sent).toHaveLength(before + 1);
    }
    expect(problems).toEqual([expect.stringContaining("it broke")]);
    agree(sent.length - 1);
    expect(told.map(([method]) => method)).toEqual([
      "notifications/tools/list_changed",
      "notifications/resources/list_changed",
    ]);
  });

  it("opens a stream that never stays open ever more slowly, though the server agrees each time", async () => {
    const { listening, sent, problems, idOf, agree } = setUp();
    void listening.toLists(everything);
    for (const wait of [313, 625, 1250, 2500]) {
      agree(sent.length - 1);
      listening.ended(idOf(sent.length - 1), undefined);
      const before = sent.length;
      await vi.advanceTimersByTimeAsync(wait / 2);
      expect(sent).toHaveLength(before);
      await vi.advanceTimersByTimeAsync(wait / 2);
      expect(sent).toHaveLength(before + 1);
    }
    expect(problems).toHaveLength(1);
    agree(sent.length - 1);
    await vi.advanceTimersByTimeAsync(5000);
    listening.ended(idOf(sent.length - 1), undefined);
    await vi.advanceTimersByTimeAsync(313);
    expect(sent).toHaveLength(6);
  });

  it("opens it again when the server ends it, with an answer or by taking it back", async () => {
    const { listening, sent, idOf, agree } = setUp();
    void listening.toLists(everything);
    agree(0);
    listening.ended(idOf(0), undefined);
    await vi.advanceTimersByTimeAsync(400);
    expect(listening.take("notifications/cancelled", { requestId: idOf(1) })).toBe(true);
    await vi.advanceTimersByTimeAsync(1000);
    expect(sent).toHaveLength(3);
  });

  it("is left where the server refuses it, and that is told once", async () => {
    const { listening, sent, problems, idOf } = setUp();
    const agreed = listening.toLists(everything);
    const rpc = { code: -32601, message: "no such method" };
    const refused = new CallError("upstream_error", rpc.message, { outcome: "answered", rpc });
    listening.ended(idOf(0), refused);
    await agreed;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sent).toHaveLength(1);
    expect(problems).toHaveLength(1);
  });

  it("opens nothing any more once it is closed", async () => {
    const { listening, sent, idOf } = setUp();
    void listening.toLists(everything);
    listening.ended(idOf(0), broken);
    listening.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sent).toHaveLength(1);
  });
});

describe("listening to resources", () => {
  it("keeps one stream for all, and closes the last when the next is open", async () => {
    const { listening, sent, told, idOf, note, agree } = setUp();
    const first = listening.watch("a:1");
    agree(0);
    await first;
    const second = listening.watch("a:2");
    expect(sent).toMatchObject([
      { params: { notifications: { resourceSubscriptions: ["a:1"] } } },
      { params: { notifications: { resourceSubscriptions: ["a:1", "a:2"] } } },
    ]);
    expect(note(0, "notifications/resources/updated", { uri: "a:1" })).toBe(true);
    agree(1);
    await second;
    expect(sent[2]).toMatchObject({
      method: "notifications/cancelled",
      params: { requestId: idOf(0) },
    });
    note(1, "notifications/resources/updated", { uri: "a:2" });
    note(0, "notifications/resources/updated", { uri: "a:2" });
    expect(told.map(([, { uri }]) => uri)).toEqual(["a:1", "a:2"]);
  });

  it("closes it when the last is left", async () => {
    const { listening, sent, idOf, agree } = setUp();
    const watched = listening.watch("a:1");
    agree(0);
    await watched;
    await listening.unwatch("a:1");
    await listening.unwatch("a:1");
    expect(sent.slice(1)).toMatchObject([{ params: { requestId: idOf(0) } }]);
  });

  it("says so where the server does not tell of a resource", async () => {
    const { listening, agree } = setUp();
    const watched = outcomeOf(listening.watch("a:1"));
    agree(0, {});
    expect(await watched).toMatchObject({ rpc: { code: -32602 } });
  });

  it("goes on with the others where the server refuses one", async () => {
    const { listening, sent, told, idOf, note, agree } = setUp();
    const first = listening.watch("a:1");
    agree(0);
    await first;
    const second = outcomeOf(listening.watch("bad:1"));
    const rpc = { code: -32602, message: "no such resource" };
    listening.ended(
      idOf(1),
      new CallError("upstream_error", rpc.message, { outcome: "answered", rpc }),
    );
    expect(await second).toMatchObject({ rpc: { code: -32602 } });
    expect(sent).toHaveLength(2);
    note(0, "notifications/resources/updated", { uri: "a:1" });
    expect(told).toEqual([["notifications/resources/updated", { uri: "a:1" }]]);
    const third = listening.watch("a:2");
    expect(sent[2]).toMatchObject({
      params: { notifications: { resourceSubscriptions: ["a:1", "a:2"] } },
    });
    agree(2);
    await third;
  });

  it("takes one after the other where several are wanted at once", async () => {
    const { listening, sent, agree } = setUp();
    const both = Promise.all([listening.watch("a:1"), listening.watch("a:2")]);
    expect(sent).toHaveLength(1);
    agree(0);
    await vi.advanceTimersByTimeAsync(0);
    agree(1);
    await both;
    expect(sent).toMatchObject([
      { params: { notifications: { resourceSubscriptions: ["a:1"] } } },
      { params: { notifications: { resourceSubscriptions: ["a:1", "a:2"] } } },
      { method: "notifications/cancelled" },
    ]);
  });

  it("gives up a server that neither agrees nor refuses, and whose stream breaks again and again", async () => {
    const { listening, sent, idOf } = setUp();
    const watched = outcomeOf(listening.watch("a:1"));
    listening.ended(idOf(0), broken);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await watched).toMatchObject({ rpc: { code: -32602 } });
    const before = sent.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sent).toHaveLength(before);
  });

  it("opens nothing once it is closed, whoever was in turn", async () => {
    const { listening, sent } = setUp();
    const both = Promise.all(["a:1", "a:2"].map((uri) => outcomeOf(listening.watch(uri))));
    listening.close();
    for (const outcome of await both) expect(outcome).toMatchObject({ rpc: { code: -32602 } });
    expect(sent.map(({ method }) => method)).toEqual([
      "subscriptions/listen",
      "notifications/cancelled",
    ]);
  });

  it("takes a resource for changed when its stream is open again", async () => {
    const { listening, told, idOf, agree } = setUp();
    void listening.watch("a:1");
    agree(0);
    listening.ended(idOf(0), broken);
    await vi.advanceTimersByTimeAsync(400);
    agree(1);
    expect(told).toEqual([["notifications/resources/updated", { uri: "a:1" }]]);
  });
});
