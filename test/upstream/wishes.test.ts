import { describe, expect, it } from "vitest";
import { Wishes } from "../../src/upstream/wishes.ts";
import { call, outcomeOf } from "../support/calls.ts";

function setUp() {
  const wishes = new Wishes();
  const told: string[] = [];
  let fails = false;
  const note = (method: string, params: { uri?: unknown; level?: unknown }): void =>
    void told.push(`${method.replace(/.*\//, "")} ${String(params.uri ?? params.level)}`);
  const send = (session: string, method: string, params: Record<string, string>) =>
    wishes.handle(
      call({ method, params, tool: undefined, caller: { principal: "p", session, client: "" } }),
      ({ method: sent, params: given }) => {
        note(sent, given);
        return fails ? Promise.reject(new Error("no")) : Promise.resolve({});
      },
    );
  return {
    told,
    fail: (value: boolean) => (fails = value),
    subscribe: (session: string, uri = "x:1") => send(session, "resources/subscribe", { uri }),
    unsubscribe: (session: string, uri = "x:1") => send(session, "resources/unsubscribe", { uri }),
    level: (session: string, level: string) => send(session, "logging/setLevel", { level }),
    left: (session: string) => wishes.left(session, note),
  };
}

describe("a subscription", () => {
  it("is told once, and its end when the last session wants it no more", async () => {
    const { told, subscribe, unsubscribe } = setUp();
    await subscribe("a");
    await subscribe("b");
    await unsubscribe("a");
    expect(told).toEqual(["subscribe x:1"]);
    await unsubscribe("b");
    expect(told).toEqual(["subscribe x:1", "unsubscribe x:1"]);
    await subscribe("a");
    expect(told).toHaveLength(3);
  });

  it("ends with the last session that has it", async () => {
    const { told, subscribe, left } = setUp();
    await subscribe("a");
    await subscribe("a", "x:2");
    await subscribe("b");
    left("a");
    expect(told.slice(2)).toEqual(["unsubscribe x:2"]);
    left("b");
    expect(told.slice(3)).toEqual(["unsubscribe x:1"]);
    left("b");
    expect(told).toHaveLength(4);
  });

  it("that the server refuses is nobody's", async () => {
    const { told, fail, subscribe, left } = setUp();
    fail(true);
    expect(await outcomeOf(subscribe("a"))).toBeInstanceOf(Error);
    left("a");
    fail(false);
    await subscribe("b");
    expect(told).toEqual(["subscribe x:1", "subscribe x:1"]);
  });

  it("that is not yet taken is asked for by each, since each is to hear a no", async () => {
    const { told, fail, subscribe } = setUp();
    fail(true);
    const both = [subscribe("a"), subscribe("b")].map(outcomeOf);
    for (const outcome of await Promise.all(both)) expect(outcome).toBeInstanceOf(Error);
    expect(told).toHaveLength(2);
  });

  it("that nobody has may be ended all the same: the server answers for it", async () => {
    const { told, unsubscribe } = setUp();
    await unsubscribe("a");
    expect(told).toEqual(["unsubscribe x:1"]);
  });
});

describe("log levels", () => {
  it("are told as the one that says most, whenever that changes", async () => {
    const { told, level } = setUp();
    await level("a", "warning");
    await level("b", "error");
    await level("b", "debug");
    await level("a", "info");
    await level("b", "alert");
    expect(told).toEqual(["setLevel warning", "setLevel debug", "setLevel info"]);
  });

  it("of a session that has left count no more", async () => {
    const { told, level, left } = setUp();
    await level("a", "debug");
    await level("b", "error");
    left("a");
    expect(told).toEqual(["setLevel debug", "setLevel error"]);
    // Nobody is left who wants anything, and there is no way to say so.
    left("b");
    expect(told).toHaveLength(2);
  });

  it("that are none are left to the server", async () => {
    const { told, level } = setUp();
    await level("a", "loud");
    await level("a", "info");
    expect(told).toEqual(["setLevel loud", "setLevel info"]);
  });

  it("that the server did not take are told again", async () => {
    const { told, fail, level } = setUp();
    fail(true);
    expect(await outcomeOf(level("a", "info"))).toBeInstanceOf(Error);
    fail(false);
    await level("a", "info");
    expect(told).toHaveLength(2);
  });
});
