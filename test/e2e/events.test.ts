import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { configFile, odd, root, startGateway, temporaryFolder } from "../support/gateway.ts";
import { textOf, type RawClient } from "../support/raw-client.ts";

const own = (name: string): string => `holdfast__${name}`;

/** A real server that writes files in a folder. */
const filesystem = (folder: string): JsonObject => ({
  command: process.execPath,
  args: [join(root, "node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"), folder],
});

/** A gateway with all of its own tools, whose client has said hello. */
async function start(config: JsonObject): Promise<RawClient & { file: string }> {
  const file = configFile({ mcpServers: {}, builtins: ["*"], ...config });
  const client = startGateway(file);
  await client.initialize();
  await client.tools();
  return Object.assign(client, { file });
}

const structured = async (
  client: RawClient,
  name: string,
  args: JsonObject = {},
): Promise<JsonObject> => {
  const result = await client.call(own(name), args);
  return (result["structuredContent"] ?? { refused: textOf(result) }) as JsonObject;
};

const publish = (client: RawClient, type: string, data: unknown = {}): Promise<JsonObject> =>
  structured(client, "publish_event", { type, data });

type Event = JsonObject & { type: string; data: JsonObject };

const query = async (client: RawClient, args: JsonObject = {}): Promise<Event[]> =>
  (await structured(client, "query_events", args))["events"] as Event[];

/** The events in a file, a line each. */
const eventsIn = (file: string): Event[] =>
  existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Event)
    : [];

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}

const notices = (client: RawClient, method: string): JsonObject[] =>
  client.messages.filter((message) => message["method"] === method);

const updated = "notifications/resources/updated";

describe("a published event", () => {
  it("starts the tool of each subscription whose condition holds, with what it says", async () => {
    const folder = temporaryFolder();
    const write = { path: join(folder, "out.txt"), content: "to ${{ event.data.email }}" };
    const client = await start({
      mcpServers: { files: filesystem(folder) },
      events: {
        subscriptions: [
          {
            on: "lead.*",
            when: "event.data.score > 5",
            run: { tool: "files__write_file", arguments: write },
          },
        ],
      },
    });
    expect(await publish(client, "lead.created", { email: "a@b", score: 1 })).toMatchObject({
      told: 0,
      failed: 0,
    });
    expect(existsSync(write.path)).toBe(false);
    expect(await publish(client, "lead.created", { email: "c@d", score: 7 })).toMatchObject({
      told: 1,
      failed: 0,
      pending: 0,
    });
    expect(readFileSync(write.path, "utf8")).toBe("to c@d");
    const [succeeded] = await query(client, { type: "call.succeeded" }).then((events) =>
      events.filter(({ subject }) => subject === "files__write_file"),
    );
    expect(succeeded?.data).toMatchObject({ caller: { principal: "local", session: "events" } });
    expect(JSON.stringify(succeeded)).not.toContain("c@d");
  });

  it("is told to the others where one of its subscriptions fails, and the failures are counted", async () => {
    const client = await start({
      mcpServers: { odd: odd() },
      events: {
        subscriptions: ["odd__rpc_error", "odd__odd_content", "odd__missing", "odd__echo"].map(
          (tool) => ({ on: "x", run: { tool } }),
        ),
      },
    });
    expect(await publish(client, "x")).toMatchObject({ told: 4, failed: 3, pending: 0 });
  });

  it("is refused where its type is the gateway's, or no type", async () => {
    const client = await start({});
    for (const type of ["call.failed", "circuit", "run.ended", "event.x"])
      expect(await publish(client, type)).toEqual({
        refused: expect.stringContaining("kept for the events of the gateway"),
      });
    for (const type of ["", "a b", "a..b", "*", "a".repeat(129)])
      expect(await publish(client, type)).toEqual({ refused: expect.stringContaining("type") });
    expect(await publish(client, "big", "x".repeat(70_000))).toEqual({
      refused: expect.stringContaining("65536 bytes"),
    });
  });

  it("that causes itself comes to an end", async () => {
    const again = { tool: own("publish_event"), arguments: { type: "loop", data: 1 } };
    const client = await start({ events: { subscriptions: [{ on: "loop", run: again }] } });
    await publish(client, "loop", 0);
    const loops = async (): Promise<number> => (await query(client, { type: "loop" })).length;
    await until(async () => (await loops()) === 9);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await loops()).toBe(9);
  });
});

describe("subscriptions at run time", () => {
  it("start tools until they are ended", async () => {
    const client = await start({ mcpServers: { odd: odd() } });
    const run = { tool: "odd__echo", arguments: { n: "${{ event.data.n }}" } };
    const { id } = await structured(client, "subscribe_event", { on: "n.*", run });
    expect(await publish(client, "n.one", { n: 1 })).toMatchObject({ told: 1, failed: 0 });
    expect(await structured(client, "unsubscribe_event", { id })).toEqual({ id });
    expect(await publish(client, "n.two", { n: 2 })).toMatchObject({ told: 0 });
    expect(await structured(client, "unsubscribe_event", { id })).toEqual({
      refused: expect.stringContaining("no subscription"),
    });
  });

  it("are refused where they could start nothing", async () => {
    const client = await start({});
    const runs = [{}, { tool: "a", chain: "b" }, { tool: "no_such" }, { tool: "x", argumnts: {} }];
    for (const run of runs)
      expect(await structured(client, "subscribe_event", { on: "x", run })).toEqual({
        refused: expect.stringContaining("run"),
      });
    const run = { tool: own("status") };
    expect(await structured(client, "subscribe_event", { on: "x", run, when: "nope" })).toEqual({
      refused: expect.stringContaining("when"),
    });
  });
});

describe("a changed config", () => {
  it("changes subscriptions, and keeps the history and what it has in common", async () => {
    const lead = { on: "lead", run: { tool: own("status") } };
    const client = await start({ events: { subscriptions: [lead] } });
    await publish(client, "lead");
    writeFileSync(
      client.file,
      JSON.stringify({
        mcpServers: {},
        events: { subscriptions: [lead, { on: "order", run: { tool: own("status") } }] },
      }),
    );
    await until(async () => (await publish(client, "order"))["told"] === 1);
    expect(await query(client, { type: "lead" })).toHaveLength(1);
    const { events } = await structured(client, "status");
    expect(events).toMatchObject({ subscriptions: [{ on: "lead", done: 1 }, { on: "order" }] });
    writeFileSync(client.file, JSON.stringify({ mcpServers: {} }));
    await until(async () => (await publish(client, "order"))["told"] === 0);
  });
});

describe("sinks", () => {
  it.each(["SIGTERM", "the end of stdin"])("have all events in the file after %s", async (end) => {
    const folder = temporaryFolder();
    const path = join(folder, "deep/events.jsonl");
    const client = await start({ events: { sinks: [{ type: "file", path, types: ["n"] }] } });
    for (let n = 0; n < 250; n++) void publish(client, "n", { n });
    await publish(client, "n", { n: 250 });
    if (end === "SIGTERM") client.child.kill("SIGTERM");
    else void client.close();
    expect(await client.exited).toBe(0);
    expect(eventsIn(path).map(({ data }) => data["n"])).toEqual(
      Array.from({ length: 251 }, (_, n) => n),
    );
    expect([statSync(path).mode & 0o777, statSync(dirname(path)).mode & 0o777]).toEqual([
      0o600, 0o700,
    ]);
  });

  it("give a tool many events at once, when there are enough or on demand", async () => {
    const folder = temporaryFolder();
    const out = join(folder, "out.txt");
    const client = await start({
      mcpServers: { files: filesystem(folder) },
      events: {
        sinks: [
          {
            type: "tool",
            tool: "files__write_file",
            types: ["n"],
            batchSize: 3,
            arguments: { path: out, content: "${{ size(events) }} from ${{ events[0].data }}" },
          },
        ],
      },
    });
    for (let n = 0; n < 4; n++) await publish(client, "n", n);
    await until(() => existsSync(out) && readFileSync(out, "utf8") === "3 from 0");
    expect(await structured(client, "flush_events")).toMatchObject({
      sinks: [{ name: "the tool files__write_file", buffered: 0, delivered: 4, dropped: 0 }],
    });
    expect(readFileSync(out, "utf8")).toBe("1 from 3");
  });

  it("never feed themselves with the events of their own calls", async () => {
    const client = await start({
      mcpServers: { odd: odd() },
      events: { sinks: [{ type: "tool", tool: "odd__echo", types: ["*"], batchSize: 1 }] },
    });
    await publish(client, "x");
    const delivered = async (): Promise<unknown> =>
      ((await structured(client, "status"))["events"] as { sinks: JsonObject[] }).sinks[0]?.[
        "delivered"
      ];
    await structured(client, "flush_events");
    const before = Number(await delivered());
    await new Promise((resolve) => setTimeout(resolve, 300));
    // The calls of status themselves, start and end, are events too.
    expect(Number(await delivered())).toBeLessThanOrEqual(before + 4);
  });
});

describe("the audit file", () => {
  it("outlives restarts and torn lines", async () => {
    const file = join(temporaryFolder(), "audit.jsonl");
    const config = { events: { audit: { file, types: ["lead.*", "call.failed"] } } };
    const first = await start(config);
    await publish(first, "lead.one");
    await publish(first, "other");
    await first.close();
    appendFileSync(file, '{"specversion":"1.0","type":"lead.torn","da');
    const second = await start(config);
    await publish(second, "lead.two");
    const found = await structured(second, "query_audit", { type: "lead.*" });
    expect(found).toMatchObject({
      events: [{ type: "lead.one" }, { type: "lead.two" }],
      more: false,
      skipped: 1,
    });
    expect(await structured(second, "query_audit", { limit: 1 })).toMatchObject({
      events: [{ type: "lead.two" }],
      more: true,
    });
    expect(await structured(second, "query_audit", { since: Date.now() + 1000 })).toMatchObject({
      events: [],
    });
    expect(await structured(second, "query_audit", { since: "yesterday" })).toEqual({
      refused: expect.stringContaining("since"),
    });
  });

  it.runIf(process.platform === "linux")(
    "on a full disk is told once, and nothing else suffers",
    async () => {
      const client = await start({ events: { audit: { file: "/dev/full", types: ["n"] } } });
      for (let n = 0; n < 20; n++) expect(await publish(client, "n")).toMatchObject({ told: 1 });
      await until(() => client.stderr.includes("ENOSPC"));
      expect(await structured(client, "flush_events")).toMatchObject({
        sinks: [{ buffered: 20, delivered: 0, problem: expect.stringContaining("ENOSPC") }],
      });
      expect(client.stderr.match(/could not be handed over/g)).toHaveLength(1);
    },
  );
});

describe("the resources of events", () => {
  const uri = "holdfast://events/lead.created";

  it("are listed by type, give the newest, and tell of new ones", async () => {
    const client = await start({});
    const { result: templates } = await client.request("resources/templates/list", {});
    expect(templates).toMatchObject({
      resourceTemplates: [{ uriTemplate: "holdfast://events/{type}" }],
    });
    expect((await client.request("resources/list", {})).result).toEqual({ resources: [] });
    expect((await client.request("resources/subscribe", { uri })).result).toEqual({});
    for (let n = 0; n < 20; n++) await publish(client, "lead.created", n);
    await client.until(() => notices(client, updated).length > 0);
    expect(notices(client, updated).length).toBeLessThanOrEqual(2);
    expect(notices(client, updated)[0]).toMatchObject({ params: { uri } });
    await client.until(() => notices(client, "notifications/resources/list_changed").length > 0);
    expect((await client.request("resources/list", {})).result).toMatchObject({
      resources: [{ uri, mimeType: "application/json" }],
    });
    const { result } = await client.request("resources/read", { uri });
    const [content] = (result?.["contents"] ?? []) as { text: string }[];
    const { events } = JSON.parse(content?.text ?? "{}") as { events: Event[] };
    expect(events.map(({ data }) => data)).toEqual(Array.from({ length: 20 }, (_, n) => n));
    expect((await client.request("resources/unsubscribe", { uri })).result).toEqual({});
  });

  it("are not there for a client that is not offered query_events", async () => {
    const client = startGateway({ mcpServers: {} });
    await client.initialize();
    expect((await client.request("resources/templates/list", {})).result).toEqual({
      resourceTemplates: [],
    });
    expect((await client.request("resources/read", { uri })).error).toMatchObject({ code: -32002 });
  });
});

it("secrets and arguments of calls are in no event", async () => {
  const secret = "very-secret-token-1";
  const client = await start({
    mcpServers: { odd: { ...odd(), env: { API_TOKEN: secret } } },
    events: { audit: { file: join(temporaryFolder(), "audit.jsonl") } },
  });
  await client.call("odd__echo", { password: "argument-1" });
  await client.call("odd__environment");
  await client.call("odd__never_there", { password: "argument-1" });
  const all = JSON.stringify([await query(client), await structured(client, "query_audit")]);
  expect(all).toContain("odd__environment");
  expect(all).not.toContain(secret);
  expect(all).not.toContain("argument-1");
});
