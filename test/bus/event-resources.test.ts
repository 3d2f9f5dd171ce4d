import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Bus } from "../../src/bus/bus.ts";
import { EventResources } from "../../src/bus/event-resources.ts";
import type { Caller, IsFor, Result } from "../../src/call.ts";
import { call } from "../support/calls.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const uri = "holdfast://events/lead.created";

function setUp() {
  const bus = new Bus((text) => text);
  const resources = new EventResources(bus);
  const subscribe = (session: string): Result | undefined =>
    resources.answer(
      call({
        method: "resources/subscribe",
        params: { uri },
        caller: { principal: "local", session, client: "" },
      }),
    );
  /** How many are told of an event. */
  const told = async (): Promise<number> =>
    (await bus.publish("lead.created", null, 10, call())).told;
  return { bus, resources, subscribe, told };
}

describe("the subscription to events of a type", () => {
  it("ends with the last session that has it", async () => {
    const { resources, subscribe, told } = setUp();
    const before = await told();
    expect([subscribe("a"), subscribe("b")]).toEqual([{}, {}]);
    expect(await told()).toBe(before + 1);
    resources.left("a");
    expect(await told()).toBe(before + 1);
    resources.left("b");
    resources.left("b");
    expect(await told()).toBe(before);
    resources.close();
  });

  it("tells those alone whose events there are", async () => {
    const { bus, resources, subscribe } = setUp();
    const told: (IsFor | undefined)[] = [];
    resources.watch({ changed: () => {}, notified: (_, __, isFor) => told.push(isFor) });
    subscribe("a");
    const by = (principal: string): Caller => ({ principal, session: "a", client: "" });
    const publish = (principal: string) =>
      bus.publish("lead.created", null, 10, call({ caller: by(principal) }));
    await Promise.all([publish("anna"), publish("ben")]);
    await vi.advanceTimersByTimeAsync(2000);
    await publish("cleo");
    await vi.advanceTimersByTimeAsync(2000);
    const names = ["anna", "ben", "cleo"];
    expect(told.map((isFor) => names.filter((name) => isFor?.(by(name))))).toEqual([
      ["anna", "ben"],
      ["cleo"],
    ]);
  });
});
