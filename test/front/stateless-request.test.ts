import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Call, JsonObject, Result } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { CallError, cancelled } from "../../src/errors.ts";
import { PeerSlot } from "../../src/peer.ts";
import { ok } from "../support/calls.ts";
import { able, metaOf, setUpStateless, type Sent } from "../support/stateless.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const settle = (ms = 20) => vi.advanceTimersByTimeAsync(ms);
const question = { message: "Who?", requestedSchema: { type: "object", properties: {} } };
const call = { name: "up__do", arguments: { a: 1, b: 2 } };
const yes = { action: "accept", content: { name: "Ada" } };

/** A server of the earlier era, which asks the caller of its call what a test says, and answers with the answers. */
function setUp(
  ask: (
    ask: (method: string, params?: JsonObject) => Promise<Result>,
    call: Call,
  ) => Promise<unknown>,
) {
  const calls: Call[] = [];
  const world = setUpStateless(async (given) => {
    calls.push(given);
    const peer = world.peers.of(given.caller);
    const signal = given.signal.abortSignal();
    const gone = new Promise<never>((_, reject) => given.signal.subscribe(reject));
    const heard = await Promise.race([
      gone,
      ask(
        (method, params = {}) =>
          peer?.ask("up", method, params, signal) ?? Promise.reject(new Error("nobody")),
        given,
      ),
    ]);
    return { ...ok(), heard };
  });
  const start = async (meta = metaOf(able), params: JsonObject = call): Promise<Sent> => {
    const sent = world.send("tools/call", params, meta);
    await settle();
    return sent;
  };
  const repeat = async (
    state: unknown,
    inputResponses: JsonObject,
    params: JsonObject = call,
  ): Promise<Sent> => {
    const sent = world.send(
      "tools/call",
      { ...params, requestState: state, inputResponses },
      metaOf(able),
    );
    await settle();
    return sent;
  };
  return { ...world, calls, start, repeat };
}

const stateOf = ({ answer }: Sent): unknown => answer?.["requestState"];
const keysOf = ({ answer }: Sent): string[] => Object.keys(answer?.["inputRequests"] ?? {});
const all = (sent: Sent, answer: JsonObject): JsonObject =>
  Object.fromEntries(keysOf(sent).map((key) => [key, answer]));

describe("a server that asks the client meanwhile", () => {
  it("has its question told as the answer, and its own answer told to the repeat", async () => {
    const { start, repeat, calls } = setUp((ask) => ask("elicitation/create", question));
    const first = await start();
    expect(first.answer).toEqual({
      resultType: "input_required",
      _meta: expect.anything(),
      inputRequests: {
        [keysOf(first)[0] ?? ""]: { method: "elicitation/create", params: question },
      },
      requestState: expect.stringMatching(/^holdfast:.{32}$/),
    });
    const second = await repeat(stateOf(first), all(first, yes));
    expect(second.answer).toMatchObject({ resultType: "complete", heard: yes });
    expect(calls).toHaveLength(1);
  });

  it("may ask one thing after the other, each with a state of its own", async () => {
    const { start, repeat } = setUp(async (ask) => [
      await ask("elicitation/create", question),
      await ask("roots/list"),
    ]);
    const first = await start();
    const second = await repeat(stateOf(first), all(first, yes));
    expect(second.answer).toMatchObject({ resultType: "input_required" });
    expect(stateOf(second)).not.toBe(stateOf(first));
    const third = await repeat(stateOf(second), all(second, { roots: [] }));
    expect(third.answer).toMatchObject({ heard: [yes, { roots: [] }] });
  });

  it("may ask several things at once, which the client is told together", async () => {
    const { start, repeat } = setUp((ask) =>
      Promise.all([ask("elicitation/create", question), ask("roots/list")]),
    );
    const first = await start();
    const [who = "", where = ""] = keysOf(first);
    expect(keysOf(first)).toHaveLength(2);
    const second = await repeat(stateOf(first), { [where]: { roots: [] } });
    expect(keysOf(second)).toEqual([who]);
    const third = await repeat(stateOf(second), { [who]: yes, junk: 1 });
    expect(third.answer).toMatchObject({ heard: [yes, { roots: [] }] });
  });

  it.each([
    ["nothing", {}],
    ["no object", { "question-1": "yes" }],
    ["no action", { "question-1": { content: {} } }],
    ["content that is no object", { "question-1": { action: "accept", content: "Ada" } }],
  ])("has its question told again to a client that answers with %s", async (_, answers) => {
    const { start, repeat } = setUp((ask) => ask("elicitation/create", question));
    const first = await start();
    const second = await repeat(stateOf(first), answers);
    expect(keysOf(second)).toEqual(keysOf(first));
    const third = await repeat(stateOf(second), all(second, { action: "decline" }));
    expect(third.answer).toMatchObject({ heard: { action: "decline" } });
  });

  it.each([
    ["sampling/createMessage", {}, { roots: {}, elicitation: {} }],
    ["sampling/createMessage", { tools: [] }, { sampling: {} }],
    ["roots/list", {}, { sampling: {} }],
    ["elicitation/create", question, { elicitation: { url: {} } }],
    ["elicitation/create", { mode: "url" }, { elicitation: {} }],
    ["tasks/list", {}, able],
  ])("is refused %s %j of a client that can %j", async (method, params, capabilities) => {
    const { start } = setUp((ask) =>
      ask(method, params).catch((error: unknown) => ({ ...(error as object) })),
    );
    const sent = await start(metaOf(capabilities));
    expect(sent.answer).toMatchObject({ resultType: "complete", heard: { code: -32601 } });
  });

  it("is refused where the request cannot be answered with questions", async () => {
    const world = setUpStateless(async ({ caller, signal }) => {
      const asked = world.peers.of(caller)?.ask("up", "roots/list", {}, signal.abortSignal());
      return { heard: await asked?.catch(() => "refused") };
    });
    const ref = { type: "ref/prompt", name: "up__say" };
    const sent = world.send("completion/complete", { ref, argument: {} }, metaOf(able));
    await settle();
    expect(sent.answer).toMatchObject({ heard: "refused" });
  });

  it("may take its question back and answer: the repeat is told that", async () => {
    const stop = new Cancel();
    const world = setUpStateless(async ({ caller }) => {
      const asked = world.peers.of(caller)?.ask("up", "roots/list", {}, stop.abortSignal());
      return { heard: await asked?.catch(() => "taken back") };
    });
    const first = world.send("tools/call", call, metaOf(able));
    await settle();
    stop.cancel(cancelled("changed my mind"));
    await settle();
    const repeat = { ...call, requestState: stateOf(first), inputResponses: {} };
    const second = world.send("tools/call", repeat, metaOf(able));
    await settle();
    expect(second.answer).toMatchObject({ heard: "taken back" });
  });

  it("has its progress told to the repeat, by the token of that", async () => {
    const { start, send } = setUp(async (ask, { onProgress }) => {
      await ask("roots/list");
      onProgress?.({ progress: 2 });
    });
    const first = await start(metaOf(able, { progressToken: "a" }));
    const params = {
      ...call,
      requestState: stateOf(first),
      inputResponses: all(first, { roots: [] }),
    };
    const second = send("tools/call", params, metaOf(able, { progressToken: "b" }));
    await settle();
    expect(first.notes).toEqual([]);
    expect(second.notes).toMatchObject([{ params: { progressToken: "b", progress: 2 } }]);
  });

  it("is told nothing of progress tokens that the client could not use", async () => {
    const { start } = setUp((ask) => ask("roots/list", { _meta: { progressToken: 1 } }));
    expect((await start()).answer).toMatchObject({
      inputRequests: { "question-1": { method: "roots/list", params: {} } },
    });
  });
});

describe("the state of a request that waits for its client", () => {
  const waiting = async () => {
    const world = setUp((ask) => ask("elicitation/create", question));
    const first = await world.start();
    return { ...world, first, state: String(stateOf(first)) };
  };

  it("is good for the same request alone, in any order of its members, and for once", async () => {
    const { repeat, first, state } = await waiting();
    const other = { name: "up__do", arguments: { a: 1, b: 3 } };
    expect(await repeat(state, all(first, yes), other)).toMatchObject({ answer: { code: -32602 } });
    const same = { arguments: { b: 2, a: 1 }, name: "up__do" };
    expect(await repeat(state, all(first, yes), same)).toMatchObject({ answer: { heard: yes } });
    expect(await repeat(state, all(first, yes))).toMatchObject({ answer: { code: -32602 } });
  });

  it("is refused where it was changed, and no call is made", async () => {
    const { repeat, calls, first, state } = await waiting();
    expect(await repeat(`${state}x`, all(first, yes))).toMatchObject({ answer: { code: -32602 } });
    expect(await repeat("holdfast:", {})).toMatchObject({ answer: { code: -32602 } });
    expect(calls).toHaveLength(1);
  });

  it("keeps nobody from leaving", async () => {
    const { stateless } = await waiting();
    expect(stateless.inFlight).toBe(0);
  });

  it("expires, and the call is cancelled", async () => {
    const { repeat, calls, first, state } = await waiting();
    await settle(599_000);
    expect(calls[0]?.signal.reason).toBeUndefined();
    await settle(2000);
    expect(calls[0]?.signal.reason).toMatchObject({ code: "cancelled" });
    expect(await repeat(state, all(first, yes))).toMatchObject({ answer: { code: -32602 } });
  });

  it("ends when the client has gone", async () => {
    const { calls, stateless } = await waiting();
    stateless.close();
    expect(calls[0]?.signal.reason).toMatchObject({ code: "cancelled" });
  });

  it("lets the repeat be taken back, and with it the call", async () => {
    const { calls, start, repeat } = setUp(async (ask) => {
      await ask("roots/list");
      return new Promise(() => {});
    });
    const first = await start();
    const second = await repeat(stateOf(first), all(first, { roots: [] }));
    second.exchange.cancel(cancelled("enough"));
    expect(calls[0]?.signal.reason).toMatchObject({ message: "enough" });
    expect(second.answer).toBeUndefined();
  });
});

describe("a server of 2025-11-25 that wants pages to be opened first", () => {
  const required = new CallError("upstream_error", "Open this page.", {
    outcome: "answered",
    rpc: {
      code: -32042,
      message: "Open this page.",
      data: {
        elicitations: [{ mode: "url", url: "https://a/", elicitationId: "1", message: "m" }],
      },
    },
  });
  const world = () => {
    let times = 0;
    return setUpStateless(() => (++times === 1 ? Promise.reject(required) : Promise.resolve(ok())));
  };

  it("is asked again when the user has agreed", async () => {
    const { send } = world();
    const first = send("tools/call", call, metaOf(able));
    await settle();
    expect(first.answer).toMatchObject({
      resultType: "input_required",
      inputRequests: {
        "question-1": { method: "elicitation/create", params: { mode: "url", url: "https://a/" } },
      },
    });
    const inputResponses = all(first, { action: "accept" });
    const params = { ...call, requestState: stateOf(first), inputResponses };
    const second = send("tools/call", params, metaOf(able));
    await settle();
    expect(second.answer).toMatchObject(ok());
  });

  it("is not asked again when the user has not", async () => {
    const { send } = world();
    const first = send("tools/call", call, metaOf(able));
    await settle();
    const inputResponses = all(first, { action: "decline" });
    const params = { ...call, requestState: stateOf(first), inputResponses };
    const second = send("tools/call", params, metaOf(able));
    await settle();
    expect(second.answer).toMatchObject({ code: -32603 });
  });

  it("needs a client that opens pages", async () => {
    const { send } = world();
    const sent = send("tools/call", call, metaOf({ elicitation: {} }));
    await settle();
    expect(sent).toMatchObject({
      answer: { code: -32021, data: { requiredCapabilities: { elicitation: { url: {} } } } },
      code: -32021,
    });
  });
});

describe("a tool of 2025-11-25 whose calls must be tasks", () => {
  const task = (status: string): JsonObject => ({ taskId: "t", status, pollInterval: 100 });
  const setUpTask = (handle: (call: Call) => Promise<Result>) => {
    const seen: string[] = [];
    const world = setUpStateless((given) => {
      seen.push(given.method);
      return handle(given);
    });
    world.setLists({ tools: [{ name: "do", execution: { taskSupport: "required" } }] });
    return { ...world, seen };
  };

  it("is called as one, which is waited for", async () => {
    const statuses = ["working", "completed"];
    const { send, seen } = setUpTask(({ method, params }) => {
      if (method === "tools/call") return Promise.resolve({ task: task("working"), params });
      if (method === "tasks/get") return Promise.resolve(task(statuses.shift() ?? "?"));
      return Promise.resolve({ ...ok(), params });
    });
    const sent = send("tools/call", call);
    await settle(500);
    expect(sent.answer).toMatchObject({ ...ok(), params: { taskId: "t" } });
    expect(seen).toEqual(["tools/call", "tasks/get", "tasks/get", "tasks/result"]);
  });

  it("may ask the client when it is asked for its result", async () => {
    const world = setUpTask(async ({ method, caller, signal }) => {
      if (method === "tools/call") return { task: task("input_required") };
      const peer = world.peers.of(caller);
      return { heard: await peer?.ask("up", "roots/list", {}, signal.abortSignal()) };
    });
    const first = world.send("tools/call", call, metaOf(able));
    await settle();
    const inputResponses = all(first, { roots: [] });
    const params = { ...call, requestState: stateOf(first), inputResponses };
    const second = world.send("tools/call", params, metaOf(able));
    await settle();
    expect(second.answer).toMatchObject({ heard: { roots: [] } });
  });

  it("has its task taken back with the call", async () => {
    const { send, seen } = setUpTask(({ method }) =>
      Promise.resolve(method === "tools/call" ? { task: task("working") } : {}),
    );
    const sent = send("tools/call", call);
    await settle();
    sent.exchange.cancel(cancelled("enough"));
    await settle(500);
    expect(seen).toEqual(["tools/call", "tasks/cancel"]);
    expect(sent.answer).toBeUndefined();
  });
});

describe("a question that belongs to no request", () => {
  const outside = () => {
    const slot = new PeerSlot();
    const world = setUpStateless(() => new Promise(() => {}), { slot });
    const stop = new Cancel();
    const ask = (method = "roots/list") => slot.ask("up", method, {}, stop.abortSignal());
    return { ...world, ask, stop };
  };

  it("is told as the answer to one that is at that server", async () => {
    const { send, ask } = outside();
    const sent = send("tools/call", call, metaOf(able));
    void ask();
    await settle();
    expect(sent.answer).toMatchObject({
      inputRequests: { "question-1": { method: "roots/list" } },
    });
  });

  it("waits for the next that goes there", async () => {
    const { send, ask } = outside();
    send("tools/list", {}, metaOf(able));
    const asked = ask();
    await settle();
    const first = send("tools/call", call, metaOf(able));
    await settle();
    const inputResponses = all(first, { roots: [] });
    send("tools/call", { ...call, requestState: stateOf(first), inputResponses }, metaOf(able));
    expect(await asked).toEqual({ roots: [] });
  });

  it("is forgotten when the server takes it back", async () => {
    const { send, ask, stop } = outside();
    send("tools/list", {}, metaOf(able));
    const asked = ask();
    stop.cancel(cancelled("no"));
    await expect(asked).rejects.toThrow("took its question back");
    const sent = send("tools/call", call, metaOf(able));
    await settle();
    expect(sent.answer).toBeUndefined();
  });

  it("is refused where the client has not said that it can be asked that", async () => {
    const { send, ask } = outside();
    send("tools/list", {}, metaOf({ roots: {} }));
    await expect(ask("sampling/createMessage")).rejects.toMatchObject({ code: -32601 });
  });
});
