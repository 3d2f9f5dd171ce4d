import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Call, JsonObject, Result } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { CallError, cancelled } from "../../src/errors.ts";
import { Peers, type Peer } from "../../src/peer.ts";
import { isPersonal } from "../../src/personal.ts";
import { Link } from "../../src/upstream/link.ts";
import { openModern, type Wire, type WireListener } from "../../src/upstream/modern-session.ts";
import { OwnRequests } from "../../src/upstream/own-requests.ts";
import { completeLine } from "../../src/front/stateless-answers.ts";
import { resultLine } from "../../src/wire.ts";
import { call, ok, outcomeOf } from "../support/calls.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

type Message = JsonObject & { readonly id: number; readonly params: JsonObject };
/** What the fake server says to a request: members of the answer, or nothing. */
type Say = (message: Message) => JsonObject | undefined;

const metaOf = (message: Message): JsonObject => message.params["_meta"] as JsonObject;
const capabilitiesOf = (message: Message): unknown =>
  metaOf(message)["io.modelcontextprotocol/clientCapabilities"];
const everything = {
  elicitation: { form: {}, url: {} },
  sampling: {},
  roots: { listChanged: true },
};

interface Over {
  readonly capabilities?: JsonObject;
  readonly peer?: Partial<Peer> & { readonly can?: JsonObject };
  readonly learn?: NonNullable<Wire["learn"]>;
  readonly lists?: Record<string, Say>;
}

/** A session with a server that answers calls in turn, and all else with nothing in it. */
async function setUp(says: readonly (JsonObject | Say)[] = [], over: Over = {}) {
  const sent: Message[] = [];
  const asked: [string, JsonObject][] = [];
  const problems: string[] = [];
  let listener: WireListener | undefined;
  let turn = 0;
  const answer = (message: Message, members: JsonObject, line = ""): void => {
    const answered = { jsonrpc: "2.0", id: message.id, ...members };
    if (!calls.receive(answered, line)) listener?.take(answered);
  };
  const send = (message: JsonObject): undefined => {
    const received = message as Message;
    sent.push(received);
    const own = received.id < 1e9 ? lists[String(message["method"])] : undefined;
    const say = own ?? (received.id >= 1e9 ? says[turn++] : undefined);
    const members = typeof say === "function" ? say(received) : say;
    if (members !== undefined) queueMicrotask(() => answer(received, members));
  };
  const lists: Record<string, JsonObject | Say> = {
    "tools/list": { result: { resultType: "complete", tools: [{ name: "a" }, { name: "b" }] } },
    "resources/templates/list": { error: { code: -32601, message: "unknown" } },
    "server/discover": { error: { code: -32603, message: "not now" } },
    ...over.lists,
  };
  const calls = new Link("up", send);
  const own = new OwnRequests("up", send);
  const { can = everything, ...rest } = over.peer ?? {};
  const peer: Peer = {
    capabilities: Promise.resolve(can),
    ask: (_upstream, method, params) => {
      asked.push([method, params]);
      return Promise.resolve({ answer: method });
    },
    ...rest,
  };
  const peers = new Peers();
  peers.join("test", peer);
  const session = await openModern({
    upstream: "up",
    info: {
      name: "fake",
      version: "1",
      protocolVersion: "2026-07-28",
      capabilities: over.capabilities ?? { tools: {}, resources: {} },
    },
    wire: {
      send,
      calls,
      own,
      listen: (given) => (listener = given),
      ...(over.learn && { learn: over.learn }),
    },
    asked: { peer, peers },
    problem: (problem) => problems.push(problem),
  });
  const take = (message: JsonObject): void => listener?.take(message);
  const fail = (id: unknown, error: CallError): void => listener?.failed(id, error);
  return { fail, session, sent, asked, problems, peer, peers, take, answer };
}

const complete = (text = "ok"): JsonObject => ({
  result: { resultType: "complete", ...ok(text) },
});
const needs = (inputRequests?: JsonObject, requestState?: string): JsonObject => ({
  result: {
    resultType: "input_required",
    ...(inputRequests && { inputRequests }),
    ...(requestState !== undefined && { requestState }),
  },
});
const form = { method: "elicitation/create", params: { message: "Sure?", requestedSchema: {} } };
const url = { method: "elicitation/create", params: { mode: "url", url: "https://example.com" } };

describe("a call", () => {
  it("says what its client can do, as this era knows it, and that it is sent by us", async () => {
    const { session, sent } = await setUp([complete()], {
      peer: { can: { ...everything, tasks: {} } },
    });
    await session.handle(call({ meta: { "x/y": 1 } }));
    expect(sent[0]?.params).toEqual({
      name: "do",
      arguments: {},
      _meta: {
        "x/y": 1,
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { name: "holdfast", version: expect.any(String) },
        "io.modelcontextprotocol/clientCapabilities": { ...everything, roots: {} },
      },
    });
  });

  it("of nobody says that nothing can be asked", async () => {
    const { session, sent } = await setUp([complete()]);
    await session.handle(call({ caller: { principal: "p", session: "gone", client: "" } }));
    expect(capabilitiesOf(sent[0] as Message)).toEqual({});
  });

  it("is answered without what only this era knows, and keeps the rest", async () => {
    const result = { resultType: "complete", ttlMs: 5, cacheScope: "public", contents: [] };
    const { session } = await setUp([{ result }, { result: ok("no type") }]);
    expect(await session.handle(call({ method: "resources/read" }))).toEqual({
      ttlMs: 5,
      cacheScope: "public",
      contents: [],
    });
    expect(await session.handle(call())).toEqual(ok("no type"));
  });

  it("passes a large answer on as it came", async () => {
    const { session, sent, answer } = await setUp();
    const large = { resultType: "complete", ...ok("x".repeat(100_000)) };
    const types = (line: string): number => line.split('"resultType"').length - 1;
    const answered = session.handle(call());
    await vi.advanceTimersByTimeAsync(0);
    const message = sent[0] as Message;
    const line = JSON.stringify({ jsonrpc: "2.0", id: message.id, result: large });
    answer(message, { result: large }, line);
    const result = await answered;
    expect(JSON.parse(resultLine(7, result))).toMatchObject({ id: 7, result: large });
    expect(types(completeLine(7, "tools/call", result))).toBe(1);
  });

  it("fails where the answer is of a kind that nobody knows, or that does not belong there", async () => {
    const task = { result: { resultType: "task", taskId: "t", status: "working" } };
    const { session } = await setUp([{ result: { resultType: "riddle" } }, task, needs({}, "s")]);
    for (const over of [{}, {}, { method: "completion/complete" }])
      expect(await outcomeOf(session.handle(call(over)))).toMatchObject({ code: "bad_answer" });
  });

  it("carries the log level that its client has set, and the last that any has", async () => {
    const { session, sent, peers, peer } = await setUp([complete(), complete(), complete()]);
    peers.join("other", { ...peer });
    const other = { principal: "p", session: "other", client: "" };
    const set = (level: string): Partial<Call> => ({
      method: "logging/setLevel",
      params: { level },
    });
    expect(await session.handle(call(set("debug")))).toEqual({});
    await session.handle(call());
    await session.handle(call({ ...set("error"), caller: other }));
    await session.handle(call());
    await session.handle(call({ caller: { ...other, session: "new" } }));
    const levels = sent.map((message) => metaOf(message)["io.modelcontextprotocol/logLevel"]);
    expect(levels).toEqual(["debug", "debug", "error"]);
  });

  it("of a resource that is not there fails with the older era's code for that, and for nothing else", async () => {
    const refusal = (data: JsonObject): JsonObject => ({
      error: { code: -32602, message: "none", data },
    });
    const { session } = await setUp([refusal({ uri: "x:1" }), refusal({ uri: "x:2" })]);
    const read = (): Promise<unknown> =>
      session.handle(call({ method: "resources/read", params: { uri: "x:1" } }));
    await expect(read()).rejects.toMatchObject({
      rpc: { code: -32002, message: "none", data: { uri: "x:1" } },
    });
    await expect(read()).rejects.toMatchObject({ rpc: { code: -32602 } });
  });

  it("of a client of this era carries the log level that it says itself, or none", async () => {
    const { session, sent, peers } = await setUp([complete(), complete()]);
    peers.join("new", {
      capabilities: Promise.resolve({}),
      ask: () => Promise.reject(),
      isRequest: true,
    });
    const caller = { principal: "p", session: "new", client: "" };
    await session.handle(call({ method: "logging/setLevel", params: { level: "debug" } }));
    await session.handle(call({ caller }));
    const key = "io.modelcontextprotocol/logLevel";
    await session.handle(call({ caller, meta: { [key]: "error" } }));
    expect(sent.map((message) => metaOf(message)[key])).toEqual([undefined, "error"]);
  });

  it("is not sent where it wants a task of the older era", async () => {
    const { session, sent } = await setUp();
    const refused = outcomeOf(session.handle(call({ params: { name: "do", task: {} } })));
    expect(await refused).toMatchObject({ rpc: { code: -32601 }, outcome: "failed" });
    expect(sent).toEqual([]);
  });

  it("of a client of this era is sent with whatever it holds", async () => {
    const { session, sent } = await setUp([complete()], { peer: { isRequest: true } });
    await session.handle(call({ params: { name: "do", task: {} } }));
    expect(sent[0]?.params).toMatchObject({ name: "do", task: {} });
  });

  it("whose headers did not fit is sent again, once, when the tools are listed anew", async () => {
    const mismatch = { error: { code: -32020, message: "headers" } };
    const learn = vi.fn<NonNullable<Wire["learn"]>>((tools) => tools);
    const { session } = await setUp([mismatch, complete("fits"), mismatch, mismatch], { learn });
    expect(await session.handle(call())).toEqual(ok("fits"));
    expect(learn).toHaveBeenCalledTimes(1);
    expect(await outcomeOf(session.handle(call()))).toMatchObject({ rpc: { code: -32020 } });
  });
});

describe("a server that needs input", () => {
  it("is given what the client answers, with its state, and nothing of it goes anywhere else", async () => {
    const { session, sent, asked } = await setUp([
      needs({ a: form, b: url }, "s1"),
      needs({ c: { method: "roots/list" } }),
      complete("done"),
      complete(),
    ]);
    const answered = await session.handle(call());
    expect(answered).toEqual(ok("done"));
    await session.handle(call());
    expect(sent.map(({ params: { _meta, ...params } }) => params)).toEqual([
      { name: "do", arguments: {} },
      {
        name: "do",
        arguments: {},
        inputResponses: {
          a: { answer: "elicitation/create" },
          b: { answer: "elicitation/create" },
        },
        requestState: "s1",
      },
      { name: "do", arguments: {}, inputResponses: { c: { answer: "roots/list" } } },
      { name: "do", arguments: {} },
    ]);
    expect(new Set(sent.map(({ id }) => id)).size).toBe(4);
    // What opens a browser has an id where the client is of the older era.
    expect(asked).toEqual([
      ["elicitation/create", form.params],
      ["elicitation/create", { elicitationId: expect.any(String), ...url.params }],
      ["roots/list", {}],
    ]);
    expect(isPersonal(answered)).toBe(true);
  });

  it("is called again after a while where it asks nothing", async () => {
    const { session, sent } = await setUp([needs(undefined, "busy"), complete()]);
    const answered = session.handle(call());
    await vi.advanceTimersByTimeAsync(249);
    expect(sent).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await answered).toEqual(ok());
    expect(sent[1]?.params).toMatchObject({ requestState: "busy" });
  });

  it("is left when it comes to no end", async () => {
    const { session, sent } = await setUp(Array.from({ length: 50 }, () => needs({ a: form })));
    expect(await outcomeOf(session.handle(call()))).toMatchObject({
      code: "upstream_error",
      message: "up asked for input 20 times and came to no end",
    });
    expect(sent).toHaveLength(21);
  });

  it.each<[string, JsonObject, JsonObject]>([
    ["no forms", { elicitation: { url: {} } }, form],
    ["no browser", { elicitation: {} }, url],
    ["no model", {}, { method: "sampling/createMessage", params: {} }],
    ["no roots", {}, { method: "roots/list" }],
  ])("is told so where the client has %s, and nothing was done", async (_, can, request) => {
    const { session, asked } = await setUp([needs({ a: request })], { peer: { can } });
    expect(await outcomeOf(session.handle(call()))).toMatchObject({
      code: "denied",
      outcome: "failed",
      message: expect.stringContaining(String(request["method"])),
    });
    expect(asked).toEqual([]);
  });

  it("may say so by itself, which is that client's alone", async () => {
    const error = { code: -32021, message: "no roots", data: { requiredCapabilities: {} } };
    const { session, sent } = await setUp([{ error }]);
    const refused = await outcomeOf(session.handle(call()));
    expect(refused).toMatchObject({ rpc: error });
    expect(isPersonal(refused)).toBe(true);
    expect(sent).toHaveLength(1);
  });

  it("is told so where nobody is there to be asked", async () => {
    const { session } = await setUp([needs({ a: form })]);
    const caller = { principal: "p", session: "gone", client: "" };
    expect(await outcomeOf(session.handle(call({ caller })))).toMatchObject({ code: "denied" });
  });

  it("gets no answer where one question is not answered; the others are taken back", async () => {
    const signals: AbortSignal[] = [];
    const ask: Peer["ask"] = (_upstream, method, _params, signal) => {
      signals.push(signal);
      return method === "roots/list"
        ? Promise.reject(new Error("rejected"))
        : new Promise(() => {});
    };
    const { session } = await setUp([needs({ a: form, b: { method: "roots/list" } })], {
      peer: { ask },
    });
    expect(await outcomeOf(session.handle(call()))).toMatchObject({
      code: "denied",
      message: expect.stringContaining("rejected"),
    });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });

  it("is not asked on when the call is cancelled while a person thinks", async () => {
    let thinking: AbortSignal | undefined;
    const ask: Peer["ask"] = (_upstream, _method, _params, signal) => {
      thinking = signal;
      return new Promise(() => {});
    };
    const { session, sent } = await setUp([needs({ a: form })], { peer: { ask } });
    const signal = new Cancel();
    const outcome = outcomeOf(session.handle(call({ signal })));
    await vi.advanceTimersByTimeAsync(0);
    expect(session.inFlight()).toBe(1);
    const enough = cancelled("enough");
    signal.cancel(enough);
    expect(await outcome).toBe(enough);
    expect(thinking?.aborted).toBe(true);
    expect(sent).toHaveLength(1);
    expect(session.inFlight()).toBe(0);
  });

  it("keeps its call alive while a person thinks", async () => {
    let answer = (_: Result): void => {};
    const ask: Peer["ask"] = () => new Promise((resolve) => (answer = resolve));
    const { session } = await setUp([needs({ a: form }), complete()], { peer: { ask } });
    const onAlive = vi.fn<() => void>();
    const answered = session.handle(call({ onAlive }));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(onAlive.mock.calls.length).toBeGreaterThan(40);
    answer({ action: "accept" });
    await answered;
    const told = onAlive.mock.calls.length;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(onAlive).toHaveBeenCalledTimes(told);
  });

  it("has its question passed on as it is to a client that repeats its calls, which is that client's alone", async () => {
    const { session, sent, asked } = await setUp([needs({ a: form }, "s1"), complete()], {
      peer: { repeats: () => true },
    });
    const question = await session.handle(call());
    expect(question).toEqual(needs({ a: form }, "s1")["result"]);
    expect(isPersonal(question)).toBe(true);
    const again = { name: "do", inputResponses: { a: { action: "accept" } }, requestState: "s1" };
    await session.handle(call({ params: again }));
    expect(sent[1]?.params).toMatchObject(again);
    expect(asked).toEqual([]);
  });

  it("asks such a client where its own request is at another server, as with a step of a chain", async () => {
    const { session, asked } = await setUp([needs({ a: form }), complete("done")], {
      peer: { isRequest: true, repeats: (upstream) => upstream === "holdfast" },
    });
    expect(await session.handle(call())).toMatchObject(ok("done"));
    expect(asked).toEqual([["elicitation/create", form.params]]);
  });
});

describe("a list", () => {
  const page = (members: JsonObject): JsonObject => ({
    result: { resultType: "complete", tools: [], ...members },
  });

  it("is as fresh as its least fresh page, and less as time goes by", async () => {
    const pages = [
      page({ ttlMs: 5000, cacheScope: "public", nextCursor: "2" }),
      page({ ttlMs: 3000, cacheScope: "private" }),
    ];
    const { session } = await setUp([], { lists: { "tools/list": () => pages.shift() } });
    expect(session.freshness?.("tools")).toBeUndefined();
    await session.list("tools", 1000);
    expect(session.freshness?.("tools")).toEqual({ ttlMs: 3000, cacheScope: "private" });
    await vi.advanceTimersByTimeAsync(1000);
    expect(session.freshness?.("tools")).toMatchObject({ ttlMs: 2000 });
    await vi.advanceTimersByTimeAsync(9000);
    expect(session.freshness?.("tools")).toMatchObject({ ttlMs: 0 });
  });

  it("is stale at once, and one user's, where its server says nothing of that", async () => {
    const { session } = await setUp();
    await session.list("tools", 1000);
    expect(session.freshness?.("tools")).toEqual({ ttlMs: 0, cacheScope: "private" });
  });
});

describe("a tool that runs as a task", () => {
  const tasks = { extensions: { "io.modelcontextprotocol/tasks": {} } };
  const wants = {
    error: { code: -32021, message: "tasks", data: { requiredCapabilities: tasks } },
  };
  const task = (status: string, over: JsonObject = {}): JsonObject => ({
    result: { resultType: "complete", taskId: "t1", status, pollIntervalMs: 100, ...over },
  });
  const created = task("working", { resultType: "task" });

  it("is watched for a client that knows no such tasks, and asked for the rest", async () => {
    const { session, sent, asked } = await setUp([
      wants,
      created,
      task("input_required", { inputRequests: { a: form } }),
      { result: { resultType: "complete" } },
      task("input_required", { inputRequests: { a: form } }),
      task("completed", { result: ok("done") }),
    ]);
    const answered = session.handle(call());
    await vi.advanceTimersByTimeAsync(1000);
    expect(await answered).toEqual(ok("done"));
    expect(sent.map(({ method }) => method)).toEqual([
      "tools/call",
      "tools/call",
      "tasks/get",
      "tasks/update",
      "tasks/get",
      "tasks/get",
    ]);
    expect(capabilitiesOf(sent[0] as Message)).not.toMatchObject(tasks);
    for (const message of sent.slice(1)) expect(capabilitiesOf(message)).toMatchObject(tasks);
    expect(sent[3]?.params).toMatchObject({
      taskId: "t1",
      inputResponses: { a: { answer: "elicitation/create" } },
    });
    expect(asked).toHaveLength(1);
  });

  it.each<[string, JsonObject, object]>([
    [
      "failed",
      task("failed", { error: { code: -32603, message: "it broke" } }),
      { rpc: { code: -32603, message: "it broke" } },
    ],
    ["cancelled", task("cancelled"), { code: "upstream_error", outcome: "unknown" }],
    ["unheard of", task("dreaming"), { code: "bad_answer" }],
  ])("fails the call where it is %s", async (_, end, failure) => {
    const { session } = await setUp([wants, created, end, { result: {} }]);
    const outcome = outcomeOf(session.handle(call()));
    await vi.advanceTimersByTimeAsync(1000);
    expect(await outcome).toMatchObject(failure);
  });

  it.each<[string, JsonObject, JsonObject, object]>([
    ["the server says no to a look at it", { error: { code: -32603, message: "no" } }, {}, {}],
    [
      "the client cannot be asked what it needs",
      task("input_required", { inputRequests: { a: form } }),
      { can: {} },
      { code: "denied" },
    ],
    [
      "it asks what nobody can answer",
      task("input_required", { inputRequests: { a: { method: "riddle" } } }),
      {},
      {},
    ],
  ])("may have done something where %s", async (_, look, peer, failure) => {
    const { session, sent } = await setUp([wants, created, look, { result: {} }], { peer });
    const outcome = outcomeOf(session.handle(call()));
    await vi.advanceTimersByTimeAsync(1000);
    const error = await outcome;
    expect(error).toMatchObject({ code: "upstream_error", outcome: "unknown", ...failure });
    expect((error as CallError).rpc).toBeUndefined();
    expect(sent.at(-1)).toMatchObject({ method: "tasks/cancel" });
  });

  it.each(["unavailable", "rate_limited"] as const)(
    "is not begun again by whoever repeats what was not sent, where a look at it fails as %s",
    async (code) => {
      const { session, sent, fail } = await setUp([wants, created]);
      const outcome = outcomeOf(session.handle(call()));
      await vi.advanceTimersByTimeAsync(200);
      expect(sent.at(-1)).toMatchObject({ method: "tasks/get" });
      fail(sent.at(-1)?.id, new CallError(code, "not now", { outcome: "failed", status: 503 }));
      expect(await outcome).toMatchObject({ code: "connection_lost", outcome: "unknown" });
    },
  );

  it("is taken back when the call is", async () => {
    const { session, sent } = await setUp([wants, created]);
    const signal = new Cancel();
    const outcome = outcomeOf(session.handle(call({ signal })));
    await vi.advanceTimersByTimeAsync(10);
    signal.cancel(cancelled("enough"));
    expect(await outcome).toMatchObject({ code: "cancelled" });
    expect(sent.at(-1)).toMatchObject({ method: "tasks/cancel", params: { taskId: "t1" } });
  });

  it("is handed to a client that knows such tasks", async () => {
    const { session, sent } = await setUp([created], { peer: { can: tasks, repeats: () => true } });
    expect(await session.handle(call())).toEqual(created["result"]);
    expect(sent).toHaveLength(1);
  });
});

describe("the session", () => {
  it("lists what is announced, also where a method of it is not known", async () => {
    const { session } = await setUp();
    expect(await session.list("tools", 1000)).toEqual([{ name: "a" }, { name: "b" }]);
    expect(await session.list("resourceTemplates", 1000)).toEqual([]);
    expect(await session.list("prompts", 1000)).toEqual([]);
  });

  it("lists only the tools that can be called", async () => {
    const { session } = await setUp([], { learn: (tools) => tools.slice(1) });
    expect(await session.list("tools", 1000)).toEqual([{ name: "b" }]);
  });

  it("is well while the server answers at all", async () => {
    const { session, sent } = await setUp();
    await session.ping(1000);
    expect(sent[0]).toMatchObject({ method: "server/discover" });
  });

  it("rejects a request that is not answered in time", async () => {
    const { session } = await setUp();
    const outcome = outcomeOf(session.request("resources/list", {}, 1000));
    await vi.advanceTimersByTimeAsync(1000);
    expect(await outcome).toBeInstanceOf(CallError);
  });

  it("waits no longer for a subscription than its call does, nor than it is told to", async () => {
    const { session } = await setUp();
    const subscribe = { method: "resources/subscribe", params: { uri: "a:1" } };
    const signal = new Cancel();
    const outcome = outcomeOf(session.handle(call({ ...subscribe, signal })));
    signal.cancel(cancelled("enough"));
    expect(await outcome).toMatchObject({ code: "cancelled" });
    const told = outcomeOf(session.request(subscribe.method, subscribe.params, 500));
    await vi.advanceTimersByTimeAsync(500);
    expect(await told).toMatchObject({ code: "timeout" });
  });

  it("tells what the server tells, and answers nothing that it asks", async () => {
    const { session, sent, take } = await setUp();
    const told: string[] = [];
    take({ jsonrpc: "2.0", method: "notifications/message", params: { data: 1 } });
    session.onNotification((method) => told.push(method));
    take({ jsonrpc: "2.0", id: "q", method: "roots/list" });
    expect(told).toEqual(["notifications/message"]);
    expect(sent).toEqual([]);
  });
});
