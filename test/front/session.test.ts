import { describe, expect, it } from "vitest";
import type { Call, Handle, JsonObject, Lists, Watcher } from "../../src/call.ts";
import { CallError } from "../../src/errors.ts";
import { Session } from "../../src/front/session.ts";
import { Gateway } from "../../src/gateway.ts";
import { PeerSlot } from "../../src/peer.ts";
import { deep, names, ok, outcomeOf, scripted, shelf, upstream } from "../support/calls.ts";

/** A session over one upstream that has the tool `do`, and what the client is sent. */
function setUp(handle: Handle, listed = (): Promise<void> => Promise.resolve()) {
  let watcher: Watcher | undefined;
  const lists: Lists = {
    tools: [{ name: "do" }],
    prompts: [],
    resources: [{ uri: "x:1" }],
    resourceTemplates: [],
  };
  const up = upstream({ handle, lists: () => lists, watch: (given) => (watcher = given) });
  const gateway = new Gateway(names);
  const entry = { upstream: up, shelf: shelf("up"), stack: [] };
  const use = (present: boolean): void => gateway.use(present ? [entry] : [], names);
  use(true);
  const sent: JsonObject[] = [];
  const problems: string[] = [];
  const peer = new PeerSlot();
  const session = new Session(gateway, {
    principal: "local",
    session: "test",
    write: (line) => sent.push(JSON.parse(line) as JsonObject),
    listed,
    peer,
    onProblem: (problem) => problems.push(problem),
  });
  const receive = (message: JsonObject): void =>
    session.receive(JSON.stringify({ jsonrpc: "2.0", ...message }));
  const request = async (method: string, params: JsonObject = {}): Promise<JsonObject[]> => {
    const from = sent.length;
    receive({ id: 1, method, params });
    await settle();
    return sent.slice(from);
  };
  const notified = (method: string, params: JsonObject): void => watcher?.notified(method, params);
  const changed = (): void => watcher?.changed();
  return { request, receive, peer, notified, changed, use, sent, problems };
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("what servers tell unasked", () => {
  const loud = { level: "info", data: "hear" };

  it("reaches no client that has asked nothing of a session, and may be of another era", async () => {
    const { notified, request, sent } = setUp(() => Promise.resolve(ok()));
    notified("notifications/message", loud);
    await request("server/discover");
    notified("notifications/message", loud);
    expect(sent).toMatchObject([{ id: 1, error: { code: -32601 } }]);
  });

  it.each(["initialize", "tools/list"])("reaches one that has asked %s", async (method) => {
    const { notified, request, sent } = setUp(() => Promise.resolve(ok()));
    await request(method);
    sent.length = 0;
    notified("notifications/message", loud);
    expect(sent).toMatchObject([{ method: "notifications/message" }]);
  });
});

describe("calls of names that are not known yet", () => {
  it("wait until the servers have told their lists, 1000 of them and no more", async () => {
    let known = (): void => {};
    const { receive, sent, use } = setUp(
      () => Promise.resolve(ok()),
      () => new Promise((resolve) => (known = resolve)),
    );
    use(false);
    const knowns: (() => void)[] = [];
    for (let id = 1; id <= 1001; id++) {
      receive({ id, method: "tools/call", params: { name: "up__do" } });
      knowns.push(known);
    }
    expect(sent).toMatchObject([
      {
        id: 1001,
        result: { _meta: { "holdfast/failure": { code: "overloaded", outcome: "failed" } } },
      },
    ]);
    use(true);
    for (const tell of knowns) tell();
    await settle();
    expect(new Set(sent.map(({ id }) => id)).size).toBe(1001);
    expect(sent.at(-1)).toMatchObject({ id: 1000, result: ok() });
  });
});

describe("what a server sends nested too deep to be written", () => {
  it("is a bad answer of unknown outcome where it is a result", async () => {
    const { request } = setUp(() => Promise.resolve({ ...ok(), structuredContent: deep() }));
    expect(await request("tools/call", { name: "up__do" })).toMatchObject([
      {
        id: 1,
        result: {
          isError: true,
          _meta: { "holdfast/failure": { code: "bad_answer", outcome: "unknown" } },
        },
      },
    ]);
    expect(await request("resources/read", { uri: "x:1" })).toMatchObject([
      { id: 1, error: { code: -32603, data: { "holdfast/failure": { code: "bad_answer" } } } },
    ]);
  });

  it("is left out of an error that passes as it is otherwise", async () => {
    const rpc = { code: -1, message: "no", data: deep() };
    const { request } = setUp(() =>
      Promise.reject(new CallError("upstream_error", "no", { outcome: "answered", rpc })),
    );
    expect(await request("tools/call", { name: "up__do" })).toEqual([
      { jsonrpc: "2.0", id: 1, error: { code: -1, message: "no" } },
    ]);
  });

  it("is left out and told where it is a notification, and the call goes on", async () => {
    const { request, notified, sent, problems } = setUp(({ onProgress }: Call) => {
      onProgress?.({ progress: 1, ...deep() });
      return Promise.resolve(ok());
    });
    const call = { name: "up__do", _meta: { progressToken: "mine" } };
    expect(await request("tools/call", call)).toMatchObject([{ id: 1, result: ok() }]);
    notified("notifications/message", { level: "info", data: deep() });
    notified("notifications/resources/updated", { uri: deep()["deep"] });
    expect(sent).toHaveLength(1);
    expect(problems).toEqual([
      expect.stringContaining("notifications/progress"),
      expect.stringContaining("notifications/message"),
    ]);
  });
});

describe("the client's log level", () => {
  const unavailable = new CallError("unavailable", "up is not available", { outcome: "failed" });
  const refused = new CallError("upstream_error", "no", {
    outcome: "answered",
    rpc: { code: -32601, message: "no" },
  });

  it.each([
    ["that could not be told is told when the server has come back", unavailable, 2],
    ["that a server has refused is not told again", refused, 1],
  ])("%s", async (_, error, times) => {
    const script = scripted(error, ok());
    const { request, changed } = setUp(script.handle);
    expect(await request("logging/setLevel", { level: "debug" })).toMatchObject([{ result: {} }]);
    changed();
    await settle();
    changed();
    await settle();
    expect(script.seen.map(({ params }) => params)).toEqual(
      Array.from({ length: times }, () => ({ level: "debug" })),
    );
  });

  it.each([["loud"], [1], [undefined]])("is refused where it is none: %j", async (level) => {
    const script = scripted(ok());
    const { request, changed, notified, sent } = setUp(script.handle);
    await request("logging/setLevel", { level: "error" });
    expect(await request("logging/setLevel", { level })).toMatchObject([
      { error: { code: -32602 } },
    ]);
    changed();
    notified("notifications/message", { level: "info", data: "below what is wanted" });
    await settle();
    expect(script.seen.map(({ params }) => params)).toEqual([{ level: "error" }]);
    expect(sent).toHaveLength(2);
  });

  it("is told again to a server that config took away and brought back", async () => {
    const script = scripted(ok(), ok());
    const { request, use } = setUp(script.handle);
    await request("logging/setLevel", { level: "debug" });
    use(false);
    use(true);
    expect(script.seen).toHaveLength(2);
  });
});

describe("updates of resources", () => {
  const update = "notifications/resources/updated";
  const subscribe = "resources/subscribe";

  it("that come before the answer to the subscription, or are of a part, reach the client", async () => {
    const { request, notified, sent } = setUp(() => {
      notified(update, { uri: "x:1" });
      return Promise.resolve({});
    });
    const note = (uri: string) => ({ jsonrpc: "2.0", method: update, params: { uri } });
    const answer = { jsonrpc: "2.0", id: 1, result: {} };
    expect(await request(subscribe, { uri: "x:1" })).toEqual([note("x:1"), answer]);
    for (const uri of ["x:1/a", "x:1#b", "x:10", "x:", "y:1"]) notified(update, { uri });
    expect(sent.slice(2)).toEqual([note("x:1/a"), note("x:1#b")]);
    await request(subscribe, { uri: "holdfast://up/x:2" });
    notified(update, { uri: "x:2/c" });
    expect(sent.at(-1)).toEqual(note("holdfast://up/x:2/c"));
  });

  it("do not where the subscription was refused or ended", async () => {
    const script = scripted(new Error("no"), ok(), ok());
    const { request, notified, sent } = setUp(script.handle);
    await request(subscribe, { uri: "x:1" });
    notified(update, { uri: "x:1" });
    await request(subscribe, { uri: "x:2" });
    await request("resources/unsubscribe", { uri: "x:2" });
    notified(update, { uri: "x:2" });
    expect(sent.filter(({ method }) => method === update)).toEqual([]);
  });
});

it("asks the client nothing for a server before the client says that it is initialised", async () => {
  const { request, receive, sent, peer } = setUp(() => Promise.resolve({}));
  await request("initialize", {
    protocolVersion: "2025-11-25",
    capabilities: { roots: {} },
    clientInfo: { name: "test", version: "1" },
  });
  const { signal } = new AbortController();
  const asked = peer.ask("up", "roots/list", {}, signal);
  const takenBack = outcomeOf(
    peer.ask("up", "roots/list", {}, AbortSignal.abort(new Error("no longer"))),
  );
  await settle();
  expect(sent).toHaveLength(1);
  receive({ method: "notifications/initialized" });
  await settle();
  expect(sent.slice(1)).toMatchObject([{ method: "roots/list" }]);
  receive({ id: sent[1]?.["id"], result: { roots: [] } });
  expect(await asked).toEqual({ roots: [] });
  expect(await takenBack).toMatchObject({ message: "no longer" });
});

it("asks the client nothing that it has not said it answers", async () => {
  const { request, receive, sent, peer } = setUp(() => Promise.resolve({}));
  await request("initialize", {
    protocolVersion: "2025-11-25",
    capabilities: { elicitation: {} },
    clientInfo: { name: "test", version: "1" },
  });
  receive({ method: "notifications/initialized" });
  const { signal } = new AbortController();
  const ask = (method: string, params: JsonObject = {}): Promise<unknown> =>
    outcomeOf(peer.ask("up", method, params, signal));
  expect(await ask("roots/list")).toMatchObject({ code: -32601 });
  expect(await ask("elicitation/create", { mode: "url" })).toMatchObject({ code: -32601 });
  expect(sent).toHaveLength(1);
  void ask("elicitation/create", { message: "Sure?" });
  void ask("tasks/get", { taskId: "t" });
  await settle();
  expect(sent.slice(1)).toMatchObject([{ method: "elicitation/create" }, { method: "tasks/get" }]);
});

describe("a client that pages", () => {
  const { request } = setUp(() => Promise.resolve(ok()));

  it.each([
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "tasks/list",
  ])("is refused a cursor that it was never given: %s", async (method) => {
    expect(await request(method, { cursor: "made up" })).toEqual([
      { jsonrpc: "2.0", id: 1, error: { code: -32602, message: 'Unknown cursor: "made up"' } },
    ]);
    expect(await request(method, { cursor: null })).toMatchObject([{ id: 1, result: {} }]);
  });
});

describe("a request that is none to the letter", () => {
  it.each([
    ["an id that is no integer", { id: 1.5, method: "ping" }],
    ["a member that no request has", { id: 2, method: "ping", extra: 1 }],
    [
      "a progress token that is none",
      { id: 3, method: "x", params: { _meta: { progressToken: {} } } },
    ],
    ["the same, where a session begins", { id: 1.5, method: "initialize" }],
  ])("is told so: %s", async (_, message) => {
    const { receive, sent } = setUp(() => Promise.resolve(ok()));
    receive(message);
    await settle();
    expect(sent).toMatchObject([{ id: message.id, error: { code: -32600 } }]);
  });
});

describe("a client that introduces itself", () => {
  const params = { capabilities: {}, clientInfo: { name: "test", version: "1" } };

  it.each([
    ["2024-11-05", "2024-11-05"],
    ["1999-01-01", "2025-11-25"],
    ["2026-07-28", "2025-11-25"],
  ])("in %s is answered in %s, however often", async (asked, protocolVersion) => {
    const { request } = setUp(() => Promise.resolve(ok()));
    const introduce = () => request("initialize", { ...params, protocolVersion: asked });
    const answer = { id: 1, result: { protocolVersion, serverInfo: { name: "holdfast" } } };
    expect(await introduce()).toMatchObject([answer]);
    expect(await introduce()).toMatchObject([answer]);
  });

  it.each([
    ["no version", params],
    ["no capabilities", { ...params, protocolVersion: "2025-11-25", capabilities: 1 }],
    ["no name", { ...params, protocolVersion: "2025-11-25", clientInfo: { version: "1" } }],
  ])("and tells %s is refused", async (_, wrong) => {
    const { request } = setUp(() => Promise.resolve(ok()));
    expect(await request("initialize", wrong)).toMatchObject([{ id: 1, error: { code: -32602 } }]);
  });

  it("is answered a ping before, and told of methods that there are none of", async () => {
    const { request } = setUp(() => Promise.resolve(ok()));
    expect(await request("ping")).toEqual([{ jsonrpc: "2.0", id: 1, result: {} }]);
    expect(await request("x")).toMatchObject([{ id: 1, error: { code: -32601 } }]);
  });
});
