import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { configFile, odd, root, startGateway } from "../support/gateway.ts";
import { RawClient, textOf, type Answer } from "../support/raw-client.ts";

const everything = {
  command: process.execPath,
  args: [join(root, "node_modules/@modelcontextprotocol/server-everything/dist/index.js"), "stdio"],
};
/** A client that can do everything that a server may ask for. */
const capabilities = {
  roots: { listChanged: true },
  sampling: {},
  elicitation: { form: {}, url: {} },
};
const answers = {
  "roots/list": () => ({ roots: [{ uri: "file:///work", name: "work" }] }),
  "sampling/createMessage": ({ messages }: JsonObject) => ({
    role: "assistant",
    model: "test-model",
    content: { type: "text", text: `heard ${JSON.stringify(messages)}` },
    _meta: { kept: true },
  }),
  "elicitation/create": ({ mode, url }: JsonObject) =>
    mode === "url"
      ? { action: "accept", _meta: { url } }
      : { action: "accept", content: { name: "Ada" } },
};

/** Times and random ids differ from run to run. */
const withoutChance = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value ?? null, (key, inner: unknown) =>
      // The time is in blobs, too.
      key === "blob" ? Buffer.from(String(inner), "base64").toString() : inner,
    )
      .replace(/\d+:\d+:\d+ [AP]M|\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|[0-9a-f]{32}/g, "ID"),
  );

describe("a server with everything", () => {
  let direct: RawClient;
  let through: RawClient;
  let file: string;
  beforeAll(async () => {
    direct = new RawClient(everything.command, everything.args, { cwd: root });
    file = configFile({ mcpServers: { up: everything }, builtins: ["status"] }, afterAll);
    through = startGateway(file, {}, afterAll);
    for (const client of [direct, through]) {
      Object.assign(client.answers, answers);
      await client.initialize(capabilities);
    }
    await through.tools();
    // Which tools it has depends on its client; it lists them when it knows its roots.
    for (const [client, name] of [
      [direct, "get-roots-list"],
      [through, "up__get-roots-list"],
    ] as const) {
      while (!(await client.tools()).some((tool) => tool["name"] === name))
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  afterAll(() => direct.close());

  /** The same request both ways. Names of the gateway's own making are given apart. */
  const both = async (method: string, params: JsonObject, renamed: JsonObject = params) => {
    const [want, got]: Answer[] = await Promise.all([
      direct.request(method, params),
      through.request(method, renamed),
    ]);
    const of = ({ result, error }: Answer = {}) => withoutChance(result ?? { error });
    return { want: of(want), got: of(got) };
  };

  it.each([
    ["resources/list", {}],
    ["resources/templates/list", {}],
    ["resources/read", { uri: "demo://resource/dynamic/text/7" }],
    ["resources/read", { uri: "demo://resource/dynamic/blob/7" }],
    ["resources/read", { uri: "demo://resource/static/document/features.md" }],
    ["resources/read", { uri: "demo://resource/no/such" }],
    [
      "completion/complete",
      {
        ref: { type: "ref/resource", uri: "demo://resource/dynamic/text/{resourceId}" },
        argument: { name: "resourceId", value: "1" },
      },
    ],
  ])("answers %s %j as without the gateway", async (method, params) => {
    const { want, got } = await both(method, params);
    expect(got).toEqual(want);
  });

  it("lists its prompts under prefixed names, gives them, and completes their arguments", async () => {
    const { want, got } = await both("prompts/list", {});
    const unprefixed = (got as { prompts: { name: string }[] }).prompts.map((prompt) => ({
      ...prompt,
      name: prompt.name.replace(/^up__/, ""),
    }));
    expect({ prompts: unprefixed }).toEqual(want);
    const named = (name: string, more: JsonObject) => ({ name, ...more });
    const args = { arguments: { city: "Rome", state: "Lazio" } };
    const prompt = await both(
      "prompts/get",
      named("args-prompt", args),
      named("up__args-prompt", args),
    );
    expect(prompt.got).toEqual(prompt.want);
    const ask = (name: string) => ({
      ref: { type: "ref/prompt", name },
      argument: { name: "department", value: "E" },
    });
    const completion = await both(
      "completion/complete",
      ask("completable-prompt"),
      ask("up__completable-prompt"),
    );
    expect(completion.got).toEqual(completion.want);
    expect(await through.request("prompts/get", { name: "nope" })).toMatchObject({
      error: { code: -32602 },
    });
  });

  it.each([
    ["get-roots-list", {}],
    ["trigger-sampling-request", { prompt: "hi" }],
    ["trigger-elicitation-request", {}],
    ["trigger-url-elicitation", { url: "https://example.com/a", elicitationId: "e1" }],
    [
      "trigger-url-elicitation",
      { url: "https://example.com/b", elicitationId: "e2", errorPath: true },
    ],
  ])("asks the client through the gateway as without: %s %j", async (name, args) => {
    const { want, got } = await both(
      "tools/call",
      { name, arguments: args },
      { name: `up__${name}`, arguments: args },
    );
    expect(got).toEqual(want);
  });

  it("sends the client its log messages at the level that the client wants, under its name", async () => {
    await both("logging/setLevel", { level: "debug" });
    const from = through.messages.length;
    await through.request("resources/subscribe", { uri: "demo://resource/dynamic/text/1" });
    await through.until(() =>
      through.messages.slice(from).some(({ method }) => method === "notifications/message"),
    );
    const message = through.messages
      .slice(from)
      .find(({ method }) => method === "notifications/message");
    expect(message?.["params"]).toMatchObject({
      level: "info",
      logger: "up",
      data: expect.stringContaining("demo://resource/dynamic/text/1"),
    });
  });

  it("updates what the client subscribed to, and nothing else", async () => {
    await through.request("resources/subscribe", { uri: "demo://resource/dynamic/text/2" });
    const updates = () =>
      through.messages.flatMap(({ method, params }) =>
        method === "notifications/resources/updated" ? (params as { uri: string }).uri : [],
      );
    await through.call("up__toggle-subscriber-updates");
    await through.until(() => updates().includes("demo://resource/dynamic/text/2"));
    await through.call("up__toggle-subscriber-updates");
    expect(new Set(updates()).size).toBeLessThanOrEqual(2);
  });

  it("passes on what it says about its use, under its name", async () => {
    const next = startGateway(file, through.environment);
    const { instructions } = await next.initialize(capabilities);
    expect(instructions).toMatch(/^# up\n\n/);
  });

  it("runs tasks: started, watched, and their result taken", async () => {
    const { result } = await through.request("tools/call", {
      name: "up__simulate-research-query",
      arguments: { topic: "kelp", ambiguous: false },
      task: { ttl: 60_000 },
    });
    const { taskId } = (result ?? {})["task"] as { taskId: string };
    expect(await through.request("tasks/get", { taskId })).toMatchObject({
      result: { taskId, status: expect.stringMatching(/working|completed/) },
    });
    expect(await through.request("tasks/list")).toMatchObject({
      result: { tasks: [expect.objectContaining({ taskId })] },
    });
    const { result: final } = await through.request("tasks/result", { taskId });
    expect(textOf(final ?? {})).toContain("kelp");
    expect(await through.request("tasks/get", { taskId: "no such" })).toMatchObject({
      error: { code: -32602 },
    });
  });
});

describe("a server that asks its client", () => {
  const slow = { policies: { timeout: { attemptMs: 1000, totalMs: 1500 } } };
  const ask = (client: RawClient, method: string, params: JsonObject = {}) =>
    client
      .call("odd__ask", { method, params })
      .then((result) => JSON.parse(textOf(result)) as JsonObject);

  it("and waits for a person is given the time, and the client's progress", async () => {
    const client = startGateway({ ...slow, mcpServers: { odd: odd({ tools: "ask" }) } });
    client.answers["elicitation/create"] = async (params) => {
      const { progressToken } = params["_meta"] as JsonObject;
      const note = { progressToken, progress: 1 };
      client.send({ jsonrpc: "2.0", method: "notifications/progress", params: note });
      await new Promise((resolve) => setTimeout(resolve, 2500));
      return { action: "accept", content: params["message"] as JsonObject };
    };
    await client.initialize(capabilities);
    await client.tools();
    expect(await ask(client, "elicitation/create", { message: "Well?" })).toEqual({
      answer: { action: "accept", content: "Well?" },
      progress: [{ progressToken: 7, progress: 1 }],
    });
  });

  it("gets the client's own error as it is", async () => {
    const client = startGateway({ mcpServers: { odd: odd({ tools: "ask" }) } });
    await client.initialize(capabilities);
    await client.tools();
    expect(await ask(client, "sampling/createMessage")).toMatchObject({
      answer: {
        error: {
          code: -32601,
          message: "no sampling/createMessage here",
          data: { method: "sampling/createMessage" },
        },
      },
    });
  });
});

describe("resources that two servers offer", () => {
  it("belong to the first in config order; each is also had by its server's name", async () => {
    const client = startGateway({
      mcpServers: {
        one: odd({ tools: "link", name: "one", resources: "test://shared,test://one" }),
        two: odd({ tools: "link", name: "two", resources: "test://shared,test://two" }),
      },
    });
    await client.initialize();
    const { result } = await client.request("resources/list", {});
    expect(((result ?? {})["resources"] as { uri: string }[]).map(({ uri }) => uri)).toEqual([
      "test://shared",
      "test://one",
      "holdfast://two/test://shared",
      "test://two",
    ]);
    const read = async (uri: string) => {
      const { result: found } = await client.request("resources/read", { uri });
      return ((found ?? {})["contents"] as { text: string }[])[0]?.text;
    };
    expect(await read("test://shared")).toBe("test://shared of one");
    expect(await read("holdfast://two/test://shared")).toBe("test://shared of two");
    expect(await read("test://two")).toBe("test://two of two");
    // A link resolves at its sender.
    await client.call("two__link", { uri: "test://shared" });
    expect(await read("test://shared")).toBe("test://shared of two");
    expect(await client.request("resources/read", { uri: "test://nowhere" })).toMatchObject({
      error: { code: -32002 },
    });
  });
});
