import { describe, expect, it } from "vitest";
import type { Call, JsonObject } from "../../src/call.ts";
import { CallError, cancelled } from "../../src/errors.ts";
import { PeerSlot } from "../../src/peer.ts";
import { deep, ok, untilCancelled } from "../support/calls.ts";
import { able, metaOf, settle, setUpStateless } from "../support/stateless.ts";

const levelKey = "io.modelcontextprotocol/logLevel";
const call = { name: "up__do", arguments: { a: 1 } };
const rpc = (code: number, message: string, data?: unknown): CallError =>
  new CallError("upstream_error", message, {
    outcome: "answered",
    rpc: { code, message, data },
  });

describe("a request without a session", () => {
  it("goes to its server as it is there, less what is for us alone", async () => {
    const seen: Call[] = [];
    const { send } = setUpStateless((given) => {
      seen.push(given);
      return Promise.resolve(ok());
    });
    const { answer } = await answered(send("tools/call", call, metaOf({}, { "x/y": 1 })));
    expect(answer).toMatchObject({ resultType: "complete", ...ok() });
    expect(seen).toMatchObject([
      {
        method: "tools/call",
        params: { name: "do", arguments: { a: 1 } },
        meta: { "x/y": 1 },
        caller: { principal: "local", session: "test", client: "test 1" },
      },
    ]);
    expect(Object.keys(seen[0]?.meta ?? {})).toEqual(["x/y"]);
  });

  it.each(["initialize", "ping", "logging/setLevel", "resources/subscribe", "tasks/list", "x"])(
    "is not known as %s",
    async (method) => {
      const { send } = setUpStateless(() => Promise.resolve(ok()));
      const sent = await answered(send(method));
      expect(sent).toMatchObject({ answer: { code: -32601 }, code: -32601 });
    },
  );

  it("is refused early where it does not say what it has to, and late where a server refuses it", async () => {
    const { send } = setUpStateless(() => Promise.reject(rpc(-32602, "no such prompt")));
    expect(await answered(send("tools/list", {}, {}))).toMatchObject({ code: -32602 });
    const late = await answered(send("prompts/get", { name: "up__say" }));
    expect(late).toMatchObject({ answer: { code: -32602 }, code: undefined });
  });

  it("is found by the servers that its client works with, until it has ended", async () => {
    const callers: Call["caller"][] = [];
    const { send, peers } = setUpStateless((given) => {
      callers.push(given.caller);
      return untilCancelled(given);
    });
    const { exchange } = send("tools/call", call, metaOf({ roots: {} }));
    send("tools/call", call, metaOf({ sampling: {} }));
    const [first, second] = callers.map((caller) => peers.of(caller));
    expect(await first?.capabilities).toEqual({ roots: {} });
    expect(await second?.capabilities).toEqual({ sampling: {} });
    expect([first?.repeats?.("up"), first?.repeats?.("other")]).toEqual([true, false]);
    exchange.cancel(cancelled("enough"));
    await settle();
    expect(callers.map((caller) => peers.of(caller) !== undefined)).toEqual([false, true]);
  });

  it("is told its progress by its own token", async () => {
    const { send } = setUpStateless((given) => {
      given.onProgress?.({ progress: 1, message: "half" });
      return Promise.resolve(ok());
    });
    const { notes } = await answered(send("tools/call", call, metaOf({}, { progressToken: "t" })));
    expect(notes).toMatchObject([
      {
        method: "notifications/progress",
        params: { progressToken: "t", progress: 1, message: "half" },
      },
    ]);
    expect((await answered(send("tools/call", call))).notes).toEqual([]);
  });

  it("hears nothing more when it was taken back", async () => {
    let progress = (): void => {};
    const { send, stateless } = setUpStateless((given) => {
      progress = () => given.onProgress?.({ progress: 1 });
      return untilCancelled(given);
    });
    const sent = send("tools/call", call, metaOf({}, { progressToken: 1 }));
    expect(stateless.inFlight).toBe(1);
    sent.exchange.cancel(cancelled("enough"));
    progress();
    await settle();
    expect(sent).toMatchObject({ notes: [], answer: undefined });
    expect(stateless.inFlight).toBe(0);
  });

  it("is told of an answer that cannot be written as of a bad one", async () => {
    const { send } = setUpStateless(() => Promise.resolve({ ...ok(), ...deep() }));
    expect(await answered(send("tools/call", call))).toMatchObject({
      answer: { isError: true, _meta: { "holdfast/failure": { code: "bad_answer" } } },
    });
  });

  it("is answered with what asks for input as it is, and so is its repeat", async () => {
    const asks = { resultType: "input_required", inputRequests: {}, requestState: "theirs" };
    const seen: JsonObject[] = [];
    const { send } = setUpStateless(({ params }) => {
      seen.push(params);
      return Promise.resolve(seen.length === 1 ? asks : ok());
    });
    expect((await answered(send("tools/call", call))).answer).toMatchObject(asks);
    const repeat = { ...call, requestState: "theirs", inputResponses: { a: {} } };
    expect((await answered(send("tools/call", repeat))).answer).toMatchObject(ok());
    expect(seen[1]).toEqual({ ...repeat, name: "do" });
  });
});

describe("tasks", () => {
  const tasks = metaOf({ extensions: { "io.modelcontextprotocol/tasks": {} } });

  it("are found at the server that began them, by a client that takes them", async () => {
    const { send } = setUpStateless(({ method }) =>
      Promise.resolve(method === "tools/call" ? { resultType: "task", taskId: "t" } : { method }),
    );
    expect(await answered(send("tasks/get", { taskId: "t" }, tasks))).toMatchObject({
      answer: { code: -32602 },
    });
    expect((await answered(send("tools/call", call, tasks))).answer).toMatchObject({
      resultType: "task",
      taskId: "t",
    });
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"])
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      expect(await answered(send(method, { taskId: "t" }, tasks))).toMatchObject({
        answer: { method },
      });
  });

  it("are refused to one that does not", async () => {
    const { send } = setUpStateless(() => Promise.resolve(ok()));
    expect(await answered(send("tasks/get", { taskId: "t" }))).toMatchObject({
      answer: {
        code: -32021,
        data: { requiredCapabilities: { extensions: { "io.modelcontextprotocol/tasks": {} } } },
      },
      code: -32021,
    });
  });

  it("are not begun by a client, as they were in the earlier era", async () => {
    const { send } = setUpStateless(({ params }) => Promise.resolve({ params }));
    const { answer } = await answered(send("tools/call", { ...call, task: { ttl: 1 } }));
    expect(answer).toMatchObject({ params: { name: "do" } });
    expect(answer?.["params"]).not.toHaveProperty("task");
  });
});

describe("log messages", () => {
  const wanting = (level: string) => metaOf({}, { [levelKey]: level });

  it("go to the oldest request at their server that wants them, and to no other", async () => {
    const { send, notified } = setUpStateless(untilCancelled);
    const silent = send("tools/call", call);
    const loud = send("tools/call", call, wanting("warning"));
    const later = send("tools/call", call, wanting("debug"));
    notified("notifications/message", { level: "error", logger: "db", data: "x" });
    notified("notifications/message", { level: "info", data: "y" });
    expect([silent.notes, loud.notes, later.notes]).toMatchObject([
      [],
      [{ params: { level: "error", logger: "up/db", data: "x" } }],
      [{ params: { level: "info", logger: "up", data: "y" } }],
    ]);
  });

  it("are asked for at servers of the earlier era by the least severe level that was wanted", async () => {
    const told: unknown[] = [];
    const { send } = setUpStateless(({ method, params }) => {
      if (method === "logging/setLevel") told.push(params["level"]);
      return Promise.resolve({});
    });
    for (const level of ["warning", "error", "info", "info"])
      await answered(send("tools/call", call, wanting(level)));
    await answered(send("tools/call", call));
    expect(told).toEqual(["warning", "info"]);
  });

  it("are asked for again where the server could not be told", async () => {
    let times = 0;
    const gone = new CallError("unavailable", "gone", { outcome: "failed" });
    const { send } = setUpStateless(({ method }) => {
      if (method !== "logging/setLevel") return Promise.resolve(ok());
      times++;
      return Promise.reject(gone);
    });
    await answered(send("tools/call", call, wanting("info")));
    await answered(send("tools/call", call, wanting("info")));
    expect(times).toBe(2);
  });
});

describe("lists", () => {
  it("come whole, with how long they may be taken for fresh", async () => {
    const { send } = setUpStateless(() => Promise.resolve(ok()));
    expect((await answered(send("tools/list"))).answer).toMatchObject({
      resultType: "complete",
      ttlMs: 0,
      cacheScope: "private",
      tools: [{ name: "up__do" }],
    });
    expect((await answered(send("resources/templates/list"))).answer).toMatchObject({
      resourceTemplates: [],
    });
  });

  it("have no other pages", async () => {
    const { send } = setUpStateless(() => Promise.resolve(ok()));
    const { answer } = await answered(send("tools/list", { cursor: "2" }));
    expect(answer).toMatchObject({ code: -32602 });
  });
});

describe("server/discover", () => {
  it("says what there is", async () => {
    const { send } = setUpStateless(() => Promise.resolve(ok()));
    const { answer } = await answered(send("server/discover"));
    expect(answer).toMatchObject({
      resultType: "complete",
      supportedVersions: ["2026-07-28"],
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true },
        extensions: { "io.modelcontextprotocol/ui": {}, "io.modelcontextprotocol/tasks": {} },
      },
      ttlMs: 0,
      cacheScope: "private",
      _meta: { "io.modelcontextprotocol/serverInfo": { name: "holdfast" } },
    });
  });
});

describe("the place of a client on a pipe", () => {
  it("is taken by its first request that says something of itself", async () => {
    const slot = new PeerSlot();
    const { send } = setUpStateless(() => Promise.resolve(ok()), { slot });
    await answered(send("server/discover"));
    expect(slot.isIntroduced).toBe(false);
    await answered(send("tools/list", {}, metaOf({ roots: {} })));
    await answered(send("tools/list", {}, metaOf(able)));
    expect(await slot.capabilities).toEqual({ roots: {} });
  });

  it("is left to a session of the earlier era that was there before", async () => {
    const slot = new PeerSlot();
    slot.introduce({}, () => Promise.resolve({ from: "session" }));
    const { send } = setUpStateless(() => Promise.resolve(ok()), { slot });
    await answered(send("tools/list", {}, metaOf(able)));
    const { signal } = new globalThis.AbortController();
    expect(await slot.ask("up", "roots/list", {}, signal)).toEqual({ from: "session" });
  });
});

/** Resolves with what was sent when it is answered. */
export async function answered<Sent extends { answer: unknown }>(sent: Sent): Promise<Sent> {
  // oxlint-disable-next-line no-await-in-loop -- it waits
  for (let turn = 0; turn < 20 && sent.answer === undefined; turn++) await settle();
  return sent;
}
