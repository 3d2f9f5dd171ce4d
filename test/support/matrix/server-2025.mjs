// A server of the 2025 era for the matrix test, on stdio, or with `--http` by Streamable HTTP with sessions on a free
// port, which it prints on the first line of stdout.   node server-2025.mjs ID WORLD [--http]
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import process from "node:process";
import { InMemoryTaskStore } from "@modelcontextprotocol/sdk/experimental/tasks/stores/in-memory.js";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import {
  ResultSchema,
  RootsListChangedNotificationSchema,
  UrlElicitationRequiredError,
} from "@modelcontextprotocol/sdk/types.js";
import { behaviourOf } from "./behaviour.mjs";
import { toolsOf } from "./contents.mjs";
import { World } from "./world.mjs";

const [id, file, ...options] = process.argv.slice(2);
/** All that are connected now, with the URIs that they subscribed to. */
const servers = new Map();
const world = new World(file);
const behave = behaviourOf(id, world, {
  updated(uri) {
    for (const [server, uris] of servers)
      if (uris.has(uri)) void server.sendResourceUpdated({ uri });
  },
  changed() {
    for (const server of servers.keys()) {
      void server.sendToolListChanged();
      void server.sendPromptListChanged();
      void server.sendResourceListChanged();
    }
  },
});
const capabilities = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  completions: {},
  logging: {},
  tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } },
};
const plain = toolsOf(id).find(({ name }) => name === "kinds");
const ownTools = [
  { ...plain, name: "task", execution: { taskSupport: "optional" } },
  { ...plain, name: "must_be_task", execution: { taskSupport: "required" } },
  ...["release", "roots_changed", "visit"].map((name) => ({ ...plain, name })),
];

const text = (value) => ({ content: [{ type: "text", text: value }] });
/** How each task is ended, by its id. */
const tasks = new Map();

/** What only this era has, by the name of the tool. */
const own = {
  /** A task where the client asked for one, which ends when `release` is called. */
  async task({ task }, { taskStore }) {
    const result = text("the task is done");
    if (!task) return result;
    const made = await taskStore.createTask({ ttl: task.ttl, pollInterval: 10 });
    tasks.set(made.taskId, () => taskStore.storeTaskResult(made.taskId, "completed", result));
    return { task: made };
  },
  /** A task that ends by itself; nothing else. */
  async must_be_task({ task }, { taskStore }) {
    if (!task) throw Object.assign(new Error("It has to be a task"), { code: -32601 });
    const made = await taskStore.createTask({ ttl: task.ttl ?? null, pollInterval: 10 });
    setTimeout(() => taskStore.storeTaskResult(made.taskId, "completed", text("was a task")), 10);
    return { task: made };
  },
  release: ({ arguments: { taskId } }) =>
    tasks
      .get(taskId)()
      .then(() => text("released")),
  /** Refuses until the client has been sent to a URL, and tells when it was there. */
  visit({ arguments: { elicitationId } }, { sendNotification }) {
    if (world.has({ visited: elicitationId })) return text("visited");
    world.add({ visited: elicitationId });
    const told = { method: "notifications/elicitation/complete", params: { elicitationId } };
    void sendNotification(told);
    const url = "https://example.com/visit";
    throw new UrlElicitationRequiredError([
      { mode: "url", message: "Go there first", url, elicitationId },
    ]);
  },
};

function connect(transport) {
  const server = new Server(
    { name: "matrix-2025", version: "1.0.0" },
    { capabilities, instructions: `Instructions of ${id}`, taskStore: new InMemoryTaskStore() },
  );
  const subscribed = new Set();
  let rootsChanged = 0;
  server.setNotificationHandler(RootsListChangedNotificationSchema, () => void rootsChanged++);
  servers.set(server, subscribed);
  Object.assign(server, { onclose: () => servers.delete(server) });
  const around = (params, { signal, sessionId, sendNotification, sendRequest }) => {
    const { progressToken, ...meta } = params?._meta ?? {};
    return {
      meta,
      client: server.getClientCapabilities(),
      signal,
      progress: async (progress) => {
        if (progressToken === undefined) return;
        await sendNotification({
          method: "notifications/progress",
          params: { ...progress, progressToken },
        });
      },
      async log(level, data) {
        if (server.isMessageIgnored(level, sessionId)) return;
        // On the stream of the request, where the SDK's own helper uses that of the session.
        const said = { level, data, logger: "main" };
        await sendNotification({ method: "notifications/message", params: said });
      },
      async ask(rounds) {
        const answers = {};
        for (const round of rounds)
          for (const [key, request] of Object.entries(round))
            answers[key] = await sendRequest(request, ResultSchema);
        return answers;
      },
    };
  };
  server.fallbackRequestHandler = async ({ method, params }, extra) => {
    switch (method) {
      case "resources/subscribe":
        subscribed.add(params.uri);
        return {};
      case "resources/unsubscribe":
        subscribed.delete(params.uri);
        return {};
      case "tools/call":
        if (params.name === "roots_changed") return text(String(rootsChanged));
        if (Object.hasOwn(own, params.name)) return own[params.name](params, extra);
    }
    const result = await behave(method, params, around(params, extra));
    return method === "tools/list" && result.nextCursor === undefined
      ? { ...result, tools: [...result.tools, ...ownTools] }
      : result;
  };
  return server.connect(transport);
}

if (!options.includes("--http")) {
  process.stdin.on("end", () => process.exit(0));
  await connect(new StdioServerTransport());
} else {
  const sessions = new Map();
  const http = createServer(async (request, response) => {
    const known = sessions.get(request.headers["mcp-session-id"]);
    if (known) return known.handleRequest(request, response);
    if (request.headers["mcp-session-id"]) return response.writeHead(404).end();
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (session) => void sessions.set(session, transport),
      onsessionclosed: (session) => void sessions.delete(session),
    });
    await connect(transport);
    await transport.handleRequest(request, response);
  });
  http.listen(0, "127.0.0.1", () => process.stdout.write(`${http.address().port}\n`));
}
