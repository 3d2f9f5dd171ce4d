import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compose, type Call, type Handle, type Result } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { Epoch } from "../../src/epoch.ts";
import { CallError, cancelled } from "../../src/errors.ts";
import { coalesce, type CoalesceSetup } from "../../src/policies/coalesce.ts";
import type { CoalesceOptions } from "../../src/policies/coalesce-options.ts";
import { epoch } from "../../src/policies/epoch.ts";
import { call, ok, outcomeOf, recorder, scripted, tool } from "../support/calls.ts";

const defaults: CoalesceOptions = { enabled: true, onDuplicate: "share", key: "" };
const readTool = tool({ effect: "read" });
const read = (args: object = {}, over: Partial<Call> = {}): Call =>
  call({ tool: readTool, params: { name: "do", arguments: args }, ...over });

const setUp = (
  inner: Handle,
  over: Partial<CoalesceOptions> = {},
  keyOf?: CoalesceSetup["keyOf"],
  scopeOf?: CoalesceSetup["scopeOf"],
) => {
  const current = new Epoch();
  const { report, events, types } = recorder();
  const policy = coalesce({
    optionsOf: () => ({ ...defaults, ...over }),
    epoch: () => current.value,
    report,
    ...(keyOf !== undefined && { keyOf }),
    ...(scopeOf !== undefined && { scopeOf }),
  });
  return { handle: compose([epoch(current), policy], inner), current, events, types };
};

/** An upstream call that the test ends. */
interface Sent {
  readonly call: Call;
  readonly answer: (result: Result) => void;
  readonly fail: (error: Error) => void;
  readonly ended: () => boolean;
}

/** An upstream whose calls the test ends, unless they are cancelled before. */
function upstream(): { handle: Handle; sent: Sent[] } {
  const sent: Sent[] = [];
  const handle: Handle = (received) =>
    new Promise((resolve, reject) => {
      let open = true;
      const end = (): void => void (open = false);
      received.signal.subscribe((reason) => {
        end();
        reject(reason);
      });
      sent.push({
        call: received,
        answer: (result) => (end(), resolve(result)),
        fail: (error) => (end(), reject(error)),
        ended: () => !open,
      });
    });
  return { handle, sent };
}

describe("coalesce", () => {
  it("sends 1000 equal reads at once as one, and gives each the same answer", async () => {
    const { handle: inner, sent } = upstream();
    const { handle, types } = setUp(inner);
    const waiting = Array.from({ length: 1000 }, (_, n) =>
      handle(n % 2 === 0 ? read({ a: 1, b: 2 }) : read({ b: 2, a: 1 })),
    );
    expect(sent).toHaveLength(1);
    sent[0]?.answer(ok("shared"));
    expect(new Set(await Promise.all(waiting)).size).toBe(1);
    expect(types()).toEqual(Array.from({ length: 999 }, () => "call.coalesced"));
  });

  it("sends reads with other arguments, and later ones, on their own", async () => {
    const { handle: inner, seen } = scripted(ok("1"), ok("2"), ok("3"));
    const { handle, types } = setUp(inner);
    expect(await Promise.all([handle(read({ a: 1 })), handle(read({ a: 2 }))])).toEqual([
      ok("1"),
      ok("2"),
    ]);
    expect(await handle(read({ a: 1 }))).toEqual(ok("3"));
    expect(seen).toHaveLength(3);
    expect(types()).toEqual([]);
  });

  it("lets through what may change something, each for itself", async () => {
    const { handle: inner, seen } = scripted(ok(), ok(), ok(), ok());
    const { handle } = setUp(inner);
    const idempotent = tool({ effect: "idempotent" });
    const requests = [call(), call(), call({ tool: idempotent }), call({ tool: idempotent })];
    await Promise.all(requests.map(handle));
    expect(seen).toEqual(requests);
  });

  it("does nothing where it is switched off", async () => {
    const { report } = recorder();
    for (const options of [false, { ...defaults, enabled: false }] as const) {
      const { handle, seen } = scripted(ok(), ok());
      const wrapped = coalesce({ optionsOf: () => options, epoch: () => 0, report })(handle);
      const requests = [read(), read()];
      await Promise.all(requests.map(wrapped));
      expect(seen[0]).toBe(requests[0]);
      expect(seen[1]).toBe(requests[1]);
    }
  });

  it("does not let a read join one that began before a write started or ended", async () => {
    const { handle: inner, sent } = upstream();
    const { handle, types } = setUp(inner);
    const before = handle(read());
    const write = handle(call());
    const during = handle(read());
    sent[1]?.answer(ok("written"));
    await write;
    const after = handle(read());
    expect(sent).toHaveLength(4);
    for (const [at, text] of [
      [0, "before"],
      [2, "during"],
      [3, "after"],
    ] as const)
      sent[at]?.answer(ok(text));
    expect(await Promise.all([before, during, after])).toEqual(
      ["before", "during", "after"].map((text) => ok(text)),
    );
    expect(types()).toEqual([]);
  });

  it("lets a cancelled waiter go, and cancels upstream with the last", async () => {
    const { handle: inner, sent } = upstream();
    const { handle } = setUp(inner);
    const [first, second] = [new Cancel(), new Cancel()];
    const waiting = [first, second].map((signal) => outcomeOf(handle(read({}, { signal }))));
    const [one, two] = [cancelled("one"), cancelled("two")];
    first.cancel(one);
    expect(await waiting[0]).toBe(one);
    expect(sent[0]?.call.signal.reason).toBeUndefined();
    second.cancel(two);
    expect(await waiting[1]).toBe(two);
    expect(sent[0]?.call.signal.reason).toBe(two);
  });

  it("refuses the later of two equal calls where config says so", async () => {
    const { handle: inner, sent } = upstream();
    const { handle, types } = setUp(inner, { onDuplicate: "reject" });
    const first = handle(read());
    const onProgress = (): void => {};
    for (const over of [{}, { onProgress }])
      expect(await outcomeOf(handle(read({}, over)))).toMatchObject({
        code: "overloaded",
        outcome: "failed",
        local: true,
        upstream: "up",
        message: "the same call of up__do is under way, and a second one is not let in",
      });
    const other = handle(read({ a: 1 }));
    expect(sent).toHaveLength(2);
    for (const { answer } of sent) answer(ok());
    expect(await Promise.all([first, other])).toEqual([ok(), ok()]);
    expect(types()).toEqual([]);
    void handle(read());
    expect(sent).toHaveLength(3);
  });

  it("takes calls for the same by the key that is given, within one tool", () => {
    const { handle: inner, sent } = upstream();
    const { handle, types } = setUp(inner, {}, ({ params }) => {
      const { id } = params["arguments"] as { id?: string };
      return id;
    });
    const other = tool({ effect: "read", remoteName: "other" });
    void handle(read({ id: "1", noise: 1 }));
    void handle(read({ id: "1", noise: 2 }));
    void handle(read({ id: "2" }));
    void handle(read({ id: "1" }, { tool: other }));
    void handle(read({ noise: 1 }));
    void handle(read({ noise: 2 }));
    expect(sent).toHaveLength(5);
    expect(types()).toEqual(["call.coalesced"]);
  });

  it("refuses a call whose key cannot be told, with the cause", async () => {
    const cause = new Error("no such key: id");
    const { handle: inner, seen } = scripted();
    const { handle } = setUp(inner, {}, () => {
      throw cause;
    });
    const refused = await outcomeOf(handle(read()));
    expect(refused).toBeInstanceOf(CallError);
    expect(refused).toMatchObject({
      code: "denied",
      outcome: "failed",
      local: true,
      cause,
      message: "the coalescing key of up__do cannot be told: no such key: id",
    });
    expect(seen).toHaveLength(0);
  });

  it("does not report a call that wants progress and finds none to share", () => {
    const { handle: inner, sent } = upstream();
    const { handle, types } = setUp(inner);
    void handle(read());
    void handle(read({}, { onProgress: () => {} }));
    expect(sent).toHaveLength(2);
    expect(types()).toEqual([]);
  });

  it("shares reads of resources too", () => {
    const { handle: inner, sent } = upstream();
    const { handle } = setUp(inner);
    const resource = { method: "resources/read", tool: undefined, params: { uri: "file:///a" } };
    void handle(call(resource));
    void handle(call(resource));
    void handle(call({ ...resource, params: { uri: "file:///b" } }));
    expect(sent).toHaveLength(2);
  });

  it("gives a waiter that stays its answer, whoever else comes and goes, and sends no call too many", async () => {
    const steps = fc.array(
      fc.oneof(
        {
          weight: 4,
          arbitrary: fc.record({
            do: fc.constant("join" as const),
            key: fc.nat(1),
            progress: fc.boolean(),
          }),
        },
        { weight: 3, arbitrary: fc.record({ do: fc.constant("cancel" as const), at: fc.nat(20) }) },
        {
          weight: 2,
          arbitrary: fc.record({
            do: fc.constantFrom("answer" as const, "fail" as const),
            at: fc.nat(9),
          }),
        },
        { weight: 1, arbitrary: fc.constant({ do: "write" as const }) },
      ),
      { maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        const { handle: inner, sent } = upstream();
        const { handle, current } = setUp(inner);
        /** What the model expects of each waiter: the upstream call that it waits for, until it leaves. */
        const waiters: { signal: Cancel; at: number; left: boolean; outcome: Promise<unknown> }[] =
          [];
        const kinds: string[] = [];
        const stays = (at: number): boolean =>
          waiters.some((waiter) => waiter.at === at && !waiter.left);
        const open = (kind: string): number =>
          sent.findIndex(({ ended }, at) => kinds[at] === kind && !ended());
        for (const step of script) {
          if (step.do === "join") {
            const kind = (progress: boolean): string => `${current.value} ${step.key} ${progress}`;
            const wanted = step.progress ? [kind(true)] : [kind(false), kind(true)];
            const joined = wanted.map(open).find((at) => at !== -1);
            const at = joined ?? sent.length;
            const signal = new Cancel();
            const over = { signal, onProgress: step.progress ? () => {} : undefined };
            const outcome = outcomeOf(handle(read({ key: step.key }, over)));
            waiters.push({ signal, at, left: false, outcome });
            if (joined === undefined) kinds.push(kind(step.progress));
            expect(sent).toHaveLength(kinds.length);
          } else if (step.do === "cancel") {
            const waiter = waiters[step.at];
            if (waiter === undefined || waiter.left || sent[waiter.at]?.ended() === true) continue;
            const reason = cancelled("gone");
            waiter.left = true;
            waiter.signal.cancel(reason);
            expect(await waiter.outcome).toBe(reason);
            expect(sent[waiter.at]?.call.signal.reason).toBe(stays(waiter.at) ? undefined : reason);
          } else if (step.do === "write") current.bump();
          else {
            const upstreamCall = sent[step.at];
            if (upstreamCall === undefined || upstreamCall.ended()) continue;
            if (step.do === "answer") upstreamCall.answer(ok(`answer ${step.at}`));
            else upstreamCall.fail(new Error(`failure ${step.at}`));
            await new Promise(setImmediate);
          }
        }
        for (const [at, { ended, answer }] of sent.entries())
          if (!ended()) answer(ok(`answer ${at}`));
        for (const { at, left, outcome } of waiters) {
          const settled = await outcome;
          if (left) expect(settled).toMatchObject({ code: "cancelled" });
          else if (settled instanceof Error) expect(settled.message).toBe(`failure ${at}`);
          else expect(settled).toEqual(ok(`answer ${at}`));
        }
      }),
    );
  });
});

describe("calls whose answers depend on their callers", () => {
  it("are shared within a scope, and not at all where they have none", async () => {
    const scopes: Record<string, string | undefined> = { a: "a", b: "b", all: "", none: undefined };
    const { handle: inner, sent } = upstream();
    const { handle } = setUp(inner, {}, undefined, ({ caller }) => scopes[caller.session]);
    const by = (session: string): Promise<Result> =>
      handle(read({}, { caller: { principal: "p", session, client: "" } }));
    const all = ["a", "a", "b", "all", "all", "none", "none"].map(by);
    expect(sent.map(({ call: { caller } }) => caller.session)).toEqual([
      "a",
      "b",
      "all",
      "none",
      "none",
    ]);
    sent.forEach(({ answer }, index) => answer(ok(`${index}`)));
    expect((await Promise.all(all)).map((result) => result["content"])).toEqual(
      ["0", "0", "1", "2", "2", "3", "4"].map((text) => ok(text)["content"]),
    );
  });
});
