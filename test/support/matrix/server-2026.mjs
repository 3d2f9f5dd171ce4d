// A server of the 2026-07-28 era alone for the matrix test, on stdio, or with `--http` on a free port, which it prints
// on the first line of stdout.   node server-2026.mjs ID WORLD [--http]
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import process from "node:process";
import { Readable } from "node:stream";
import { createMcpHandler, inputRequired, Server } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import * as z from "zod";
import { behaviourOf } from "./behaviour.mjs";
import { World } from "./world.mjs";

const [id, file, ...options] = process.argv.slice(2);
/** Who tells clients, as `behaviourOf` wants it. */
const telling = { updated() {}, changed() {} };
const behave = behaviourOf(id, new World(file), {
  updated: (uri) => telling.updated(uri),
  changed: () => telling.changed(),
});
const capabilitiesKey = "io.modelcontextprotocol/clientCapabilities";
const tasksExtension = "io.modelcontextprotocol/tasks";
const capabilities = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  completions: {},
  logging: {},
  extensions: { [tasksExtension]: {} },
};

/** Thrown where the client has to answer first. */
class Ask extends Error {
  constructor(inputRequests, requestState) {
    super("asks the client");
    this.result = inputRequired({ inputRequests, requestState });
  }
}

/** What was answered in earlier rounds travels in the state, as nothing is kept between two requests. */
const askOf = ({ inputResponses, requestState }) => {
  return async (rounds) => {
    const answers = { ...JSON.parse(requestState() ?? "{}"), ...inputResponses };
    for (const round of rounds)
      if (Object.keys(round).some((key) => !(key in answers)))
        throw new Ask(round, JSON.stringify(answers));
    return answers;
  };
};

const task = { name: "task", inputSchema: { type: "object" } };
const taskResult = { content: [{ type: "text", text: "the task is done" }] };
/** How often a task was looked at, by its id. */
const looks = new Map();

/** Only for a client that knows tasks; it is done when it is looked at for the second time. */
function startTask() {
  const taskId = randomUUID();
  looks.set(taskId, 0);
  return { resultType: "task", ...taskAt(taskId, "working") };
}

const taskAt = (taskId, status) => {
  const at = new Date(0).toISOString();
  return { taskId, status, createdAt: at, lastUpdatedAt: at, ttlMs: 60_000, pollIntervalMs: 10 };
};

function lookAt({ taskId }) {
  looks.set(taskId, looks.get(taskId) + 1);
  return looks.get(taskId) < 2
    ? taskAt(taskId, "working")
    : { ...taskAt(taskId, "completed"), result: taskResult };
}

function makeServer() {
  const server = new Server(
    { name: "matrix-2026", version: "1.0.0" },
    { capabilities, instructions: `Instructions of ${id}` },
  );
  server.setRequestHandler("tasks/get", { params: z.looseObject({}) }, lookAt);
  server.fallbackRequestHandler = async ({ method, params }, { mcpReq }) => {
    const { progressToken, ...meta } = params?._meta ?? {};
    if (method === "tools/call" && params.name === task.name) {
      const { extensions } = mcpReq.envelope[capabilitiesKey];
      return extensions?.[tasksExtension] ? startTask() : taskResult;
    }
    try {
      const result = await behave(method, params, {
        meta,
        client: mcpReq.envelope[capabilitiesKey],
        signal: mcpReq.signal,
        progress: async (progress) => {
          if (progressToken === undefined) return;
          await mcpReq.notify({
            method: "notifications/progress",
            params: { ...progress, progressToken },
          });
        },
        log: (level, data) => mcpReq.log(level, data, "main"),
        ask: askOf(mcpReq),
      });
      return method === "tools/list" && result.nextCursor === undefined
        ? { ...result, tools: [...result.tools, task] }
        : result;
    } catch (error) {
      if (error instanceof Ask) return error.result;
      throw error;
    }
  };
  return server;
}

if (!options.includes("--http"))
  serveStdio(
    () => {
      const server = makeServer();
      telling.updated = (uri) => void server.sendResourceUpdated({ uri });
      telling.changed = () => {
        void server.sendToolListChanged();
        void server.sendPromptListChanged();
        void server.sendResourceListChanged();
      };
      return server;
    },
    { legacy: "reject" },
  );
else {
  const handler = createMcpHandler(makeServer, { legacy: "reject", keepAliveMs: 0 });
  const { notify } = handler;
  telling.updated = (uri) => notify.resourceUpdated(uri);
  telling.changed = () => {
    notify.toolsChanged();
    notify.promptsChanged();
    notify.resourcesChanged();
  };
  const http = createServer(async (request, response) => {
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    const { method, headers, url } = request;
    const hasBody = method !== "GET" && method !== "HEAD";
    const answer = await handler.fetch(
      new Request(new URL(url, `http://${headers.host}`), {
        method,
        headers,
        signal: gone.signal,
        ...(hasBody && { body: Readable.toWeb(request), duplex: "half" }),
      }),
    );
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    response.flushHeaders();
    if (answer.body)
      Readable.fromWeb(answer.body)
        .on("error", () => {})
        .pipe(response);
    else response.end();
  });
  http.listen(0, "127.0.0.1", () => process.stdout.write(`${http.address().port}\n`));
}
