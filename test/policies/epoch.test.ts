import { describe, expect, it } from "vitest";
import type { Call } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { Epoch } from "../../src/epoch.ts";
import { cancelled, CallError } from "../../src/errors.ts";
import { epoch } from "../../src/policies/epoch.ts";
import { call, ok, outcomeOf, scripted, tool, untilCancelled } from "../support/calls.ts";

const lost = new CallError("connection_lost", "it crashed", { outcome: "unknown" });

describe("epoch", () => {
  it("begins a new epoch when a write starts, and another when it ends, and tells both times", async () => {
    const current = new Epoch();
    const told: [Call, number][] = [];
    const { handle, seen } = scripted(() => {
      expect(current.value).toBe(1);
      return Promise.resolve(ok());
    });
    const request = call();
    const wrapped = epoch(current, (write) => told.push([write, current.value]))(handle);
    expect(await wrapped(request)).toEqual(ok());
    expect(told).toEqual([
      [request, 1],
      [request, 2],
    ]);
    expect(seen).toEqual([request]);
  });

  it("does so however the write ends", async () => {
    const current = new Epoch();
    const refused = { ...ok("no"), isError: true };
    const { handle } = scripted(lost, refused, untilCancelled);
    const wrapped = epoch(current)(handle);
    expect(await outcomeOf(wrapped(call()))).toBe(lost);
    expect(current.value).toBe(2);
    expect(await wrapped(call())).toBe(refused);
    expect(current.value).toBe(4);
    const signal = new Cancel();
    const ending = outcomeOf(wrapped(call({ signal })));
    expect(current.value).toBe(5);
    signal.cancel(cancelled("enough"));
    await ending;
    expect(current.value).toBe(6);
  });

  it("does so for what is idempotent, what starts a task, and what is not known", async () => {
    const writes: Partial<Call>[] = [
      { tool: tool({ effect: "idempotent" }) },
      { tool: tool({ effect: "read" }), params: { name: "do", task: {} } },
      { method: "some/request", tool: undefined },
    ];
    for (const write of writes) {
      const current = new Epoch();
      await epoch(current)(scripted(ok()).handle)(call(write));
      expect(current.value).toBe(2);
    }
  });

  it("stays where nothing can change", async () => {
    const current = new Epoch();
    const { handle } = scripted(ok(), lost, ok());
    const wrapped = epoch(current, () => expect.fail("a read is no write"))(handle);
    const read = tool({ effect: "read" });
    await wrapped(call({ tool: read }));
    await outcomeOf(wrapped(call({ tool: read })));
    await wrapped(call({ method: "resources/read", tool: undefined }));
    expect(current.value).toBe(0);
  });
});

describe("a task that a call has started", () => {
  it.each<[string, object, boolean]>([
    ["tasks/result", {}, true],
    ["tasks/get", { status: "completed" }, true],
    ["tasks/get", { status: "failed" }, true],
    ["tasks/get", { status: "working" }, false],
    ["tasks/list", {}, false],
  ])("begins a new epoch when %s answers %j: %s", async (method, result, begins) => {
    const of = new Epoch();
    const before = of.value;
    const asked = { ...call({ method }), tool: undefined };
    await epoch(of)(() => Promise.resolve({ ...result }))(asked);
    expect(of.value !== before).toBe(begins);
  });
});
