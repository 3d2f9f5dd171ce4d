import { describe, expect, it } from "vitest";
import { CallError } from "../../src/errors.ts";
import { ready as readyPolicy, type ReadyPolicy } from "../../src/policies/ready.ts";
import { call, ok, outcomeOf, scripted } from "../support/calls.ts";

const gone = new CallError("unavailable", "its session has expired", { outcome: "failed" });

const ready = (untilReady: ReadyPolicy["untilReady"], maxConcurrent = 64, maxQueue = 1000) =>
  readyPolicy({ upstream: "up", untilReady, bulkheadOf: () => ({ maxConcurrent, maxQueue }) });

describe("ready", () => {
  it("sends a call at once where the upstream is connected", async () => {
    const { handle, seen } = scripted(ok());
    expect(await ready(() => undefined)(handle)(call())).toEqual(ok());
    expect(seen).toHaveLength(1);
  });

  it("sends a call when the upstream is connected, and never where it is not in time", async () => {
    const { handle, seen } = scripted(ok());
    let connected = (): void => {};
    const wait = new Promise<void>((resolve) => (connected = resolve));
    const answer = ready(() => wait)(handle)(call());
    expect(seen).toHaveLength(0);
    connected();
    expect(await answer).toEqual(ok());
    expect(await outcomeOf(ready(() => Promise.reject(gone))(handle)(call()))).toBe(gone);
    expect(seen).toHaveLength(1);
  });

  it("lets no more wait than the upstream takes when it is connected, and refuses the others at once", async () => {
    const { handle, seen } = scripted(ok(), ok(), ok(), ok());
    let connected = (): void => {};
    let wait: Promise<void> | undefined = new Promise<void>((resolve) => (connected = resolve));
    const send = ready(() => wait, 1, 2)(handle);
    const waiting = [1, 2, 3].map(() => send(call()));
    expect(await outcomeOf(send(call()))).toMatchObject({ code: "overloaded", outcome: "failed" });
    connected();
    await Promise.all(waiting);
    wait = undefined;
    expect(await send(call())).toEqual(ok());
    expect(seen).toHaveLength(4);
  });

  it("sends a call once more where its connection was gone before anything was sent", async () => {
    const waits = [undefined, Promise.resolve()];
    const { handle, seen } = scripted(gone, ok());
    expect(await ready(() => waits.shift())(handle)(call())).toEqual(ok());
    expect(seen).toHaveLength(2);
  });

  it("does not send a call again that may have happened, nor more than once, nor to the same connection", async () => {
    const lost = new CallError("connection_lost", "it crashed", { outcome: "unknown" });
    const once = scripted(lost);
    expect(await outcomeOf(ready(() => undefined)(once.handle)(call()))).toBe(lost);
    const twice = scripted(gone, gone);
    const waits = [undefined, Promise.resolve(), Promise.resolve()];
    expect(await outcomeOf(ready(() => waits.shift())(twice.handle)(call()))).toBe(gone);
    expect(twice.seen).toHaveLength(2);
    const same = scripted(gone, ok());
    expect(await outcomeOf(ready(() => undefined)(same.handle)(call()))).toBe(gone);
  });
});
