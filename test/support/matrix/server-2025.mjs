// A server of the 2025 era for the matrix test, on stdio, or with `--http` by Streamable HTTP with sessions on a free
// port, which it prints on the first line of stdout.   node server-2025.mjs ID [--http]
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
} from "@modelcontextprotocol/sdk/types.js";
import { behaviourOf } from "./behaviour.mjs";
import { toolsOf } from "./contents.mjs";

const [id, ...options] = process.argv.slice(2);
const behave = behaviourOf(id);
/** All that are connected now, with the URIs that they subscribed to. */
const servers = new Map();
const capabilities = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  completions: {},
  logging: {},
  tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } },
};
const task = {
  name: "task",
  inputSchema: { type: "object" },
  execution: { taskSupport: "optional" },
};

const plain = toolsOf(id).find(({ name }) => name === "kinds");
const ownTools = [task, { ...plain, name: "release" }, { ...plain, name: "roots_changed" }];

/** Runs as a task where the client asked for one: begun at once, and done when `release` is called with its id. */
const tasks = new Map();

const taskResult = { content: [{ type: "text", text: "the task is done" }] };

async function startTask(params, taskStore) {
  if (!params.task) return taskResult;
  const made = await taskStore.createTask({ ttl: params.task.ttl, pollInterval: 10 });
  tasks.set(made.taskId, () => taskStore.storeTaskResult(made.taskId, "completed", taskResult));
  return { task: made };
}

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
      signal,
      progress: async (progress) => {
        if (progressToken === undefined) return;
        await sendNotification({
          method: "notifications/progress",
          params: { ...progress, progressToken },
        });
      },
      log: (level, data) => server.sendLoggingMessage({ level, data, logger: "main" }, sessionId),
      async ask(rounds) {
        const answers = {};
        for (const round of rounds)
          for (const [key, request] of Object.entries(round))
            answers[key] = await sendRequest(request, ResultSchema);
        return answers;
      },
      async updated(uri) {
        for (const [other, uris] of servers)
          if (uris.has(uri)) await other.sendResourceUpdated({ uri });
      },
      async changed() {
        for (const other of servers.keys())
          await Promise.all([
            other.sendToolListChanged(),
            other.sendPromptListChanged(),
            other.sendResourceListChanged(),
          ]);
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
        if (params.name === task.name) return startTask(params, extra.taskStore);
        if (params.name === "release") {
          await tasks.get(params.arguments.taskId)();
          return { content: [] };
        }
        if (params.name === "roots_changed")
          return { content: [{ type: "text", text: String(rootsChanged) }] };
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
