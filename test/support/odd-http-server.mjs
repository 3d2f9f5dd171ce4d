// An MCP server by HTTP that misbehaves on request, without the SDK so that it can send anything.
// It prints its port on the first line of stdout. GET /seen tells what it saw, POST /do/NAME makes it act.
//   node odd-http-server.mjs [--port=N] [--transport=http|sse] [--answer=json|sse] [--session=on|off]
//     [--get=open|refuse|missing|close|fail] [--forgotten=404|400] [--delete=ok|hang] [--note=ok|hang] [--start=hang|STATUS|html]
//     [--redirect=PATH|ORIGIN] [--tools=NAME,…]
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import process from "node:process";

const options = Object.fromEntries(
  process.argv.slice(2).map((argument) => argument.replace(/^--/, "").split(/=(.*)/s)),
);
const isSse = options.transport === "sse";
const object = { type: "object" };
const text = (value) => ({ content: [{ type: "text", text: value }] });
const json = (message) => JSON.stringify({ jsonrpc: "2.0", ...message });
const event = (message, id) => `${id ? `id: ${id}\n` : ""}data: ${json(message)}\n\n`;

/** What came in. */
const seen = { requests: [], cancelled: [], gets: 0, closed: [], open: 0, mostOpen: 0 };
/** Sessions by id, with their GET stream where it is open. */
const sessions = new Map();
/** What is left to send on streams that were broken off, by the id of their last event. */
const left = new Map();

/** The way back to the client for one request: a stream of events, or one body of JSON. */
class Reply {
  constructor(id, response, session, headers) {
    Object.assign(this, { id, response, session, headers });
    this.asJson = options.answer === "json" && !isSse;
  }
  /** Sends raw text on the stream, which it begins if need be. */
  write(raw) {
    if (isSse) return this.session.stream?.write(raw);
    if (!this.response.headersSent)
      this.response.writeHead(200, { "content-type": "text/event-stream", ...this.sessionHeader });
    this.response.write(raw);
  }
  get sessionHeader() {
    return this.session?.isNew ? { "mcp-session-id": this.session.id } : {};
  }
  answer(members) {
    const message = { id: this.id, ...members };
    if (isSse) return this.write(event(message));
    if (!this.asJson) return this.response.end(this.write(event(message)));
    this.response.writeHead(200, { "content-type": "application/json", ...this.sessionHeader });
    this.response.end(json(message));
  }
  result(result) {
    this.answer({ result });
  }
  progress(token, n) {
    const params = { progressToken: token, progress: n, message: `note ${n}` };
    return event({ method: "notifications/progress", params });
  }
  /** Ends it with any status. */
  status(status, headers = {}, body = "") {
    this.response.writeHead(status, headers);
    this.response.end(body);
  }
}

const half = (reply) => event({ id: reply.id, result: text("never whole") }).slice(0, 40);
const later = (run) => setTimeout(() => run(), 50);

/** By name: what a call does. */
const tools = {
  echo: (reply, { arguments: given }) => reply.result(text(JSON.stringify(given ?? null))),
  params: (reply, params) => reply.result(text(JSON.stringify(params))),
  pid: (reply) => reply.result(text(String(process.pid))),
  headers: (reply) => reply.result(text(JSON.stringify(reply.headers))),
  session: (reply) => reply.result(text(reply.session?.id ?? "none")),
  cancelled: (reply) => reply.result(text(JSON.stringify(seen.cancelled))),
  never(reply) {
    reply.response.on("close", () => seen.closed.push(reply.id));
    if (options.answer !== "json") reply.write(": on my way\n\n");
  },
  slow: (reply, { arguments: { ms } }) => setTimeout(() => reply.result(text("slow")), ms),
  null_result: (reply) => reply.result(null),
  rpc_error: (reply) =>
    reply.answer({ error: { code: -32099, message: "MCP error -1: kept", data: { why: [1] } } }),
  large: (reply, { arguments: { bytes } }) => reply.result(text("x".repeat(bytes))),
  pretty(reply, { arguments: { bytes } }) {
    const message = { jsonrpc: "2.0", id: reply.id, result: text("y".repeat(bytes)) };
    reply.status(200, { "content-type": "application/json" }, JSON.stringify(message, null, 2));
  },
  status(reply, { arguments: { status, headers, body } }) {
    reply.status(status, headers, body?.replaceAll("$ID", reply.id));
  },
  hanging_status(reply, { arguments: { status } }) {
    reply.response.writeHead(status, { "content-type": "text/plain" });
    reply.response.write("and so on");
  },
  html: (reply) => reply.status(200, { "content-type": "text/html" }, "<p>Welcome</p>"),
  accepted: (reply) => reply.status(202),
  no_answer: (reply) =>
    reply.status(200, { "content-type": "application/json" }, json({ id: 1, result: {} })),
  garbage(reply) {
    reply.write("data: this is no JSON\n\ndata: {broken\n\n");
    reply.result(text("after garbage"));
  },
  burst(reply, { arguments: { count }, _meta }) {
    const notes = Array.from({ length: count }, (_, n) =>
      reply.progress(_meta.progressToken, n + 1),
    );
    const answer = event({ id: reply.id, result: text("done") });
    reply.write(notes.join("") + answer);
    if (!isSse) reply.response.end();
  },
  /** The stream stays open after the answer. */
  lingering(reply) {
    reply.response.on("close", () => seen.closed.push(reply.id));
    reply.write(event({ id: reply.id, result: text("lingering") }));
  },
  reset: (reply) => void reply.response.socket.destroy(),
  break_off(reply) {
    reply.write(half(reply));
    later(() => (isSse ? reply.session.stream : reply.response).destroy());
  },
  break_json(reply) {
    reply.response.writeHead(200, { "content-type": "application/json", "content-length": 1000 });
    reply.response.write('{"jsonrpc":');
    later(() => reply.response.destroy());
  },
  end_early(reply) {
    reply.write(": nothing to say\n\n");
    reply.response.end();
  },
  exit(reply) {
    reply.write(half(reply));
    later(() => process.exit(7));
  },
  /** Breaks off, and can be gone on with: `times` streams that bring a note each, then one with the answer. */
  resumable(reply, { arguments: { times = 1, close = false, refuse }, _meta }) {
    const parts = Array.from({ length: times }, (_, n) =>
      reply.progress(_meta?.progressToken, n + 1),
    );
    breakOff(reply, parts, {
      close,
      refuse,
      answer: event({ id: reply.id, result: text("resumed") }),
    });
  },
  change(reply, { arguments: given }) {
    listed = given.tools;
    reply.session.stream?.write(event({ method: "notifications/tools/list_changed" }));
    reply.result(text("changed"));
  },
  ask(reply) {
    reply.session.asked = (answer) => reply.result(text(JSON.stringify(answer)));
    reply.write(event({ id: "question", method: "roots/list" }));
  },
};

/** Sends the next part with an id, and the rest to who comes with that id. */
function breakOff(reply, [part, ...parts], how) {
  const id = randomUUID();
  left.set(id, { ...how, id: reply.id, parts });
  reply.write(`retry: 1\nid: ${id}\n${part ?? "data:\n\n"}`);
  later(() => (how.close ? reply.response.end() : reply.response.destroy()));
}

function goOn(request, response) {
  const rest = left.get(request.headers["last-event-id"]);
  if (rest === undefined) return response.writeHead(400).end("unknown event");
  if (rest.refuse !== undefined) return response.writeHead(rest.refuse).end("no way on");
  const reply = new Reply(rest.id, response);
  if (rest.parts.length > 0) return breakOff(reply, rest.parts, rest);
  reply.write(rest.answer);
  response.end();
}

let listed = options.tools?.split(",") ?? Object.keys(tools);

async function handle(reply, { id, method, params, result, error }) {
  if (id === "question") return reply.session.asked(result ?? error);
  switch (method) {
    case "initialize":
      if (options.start === "hang") return;
      return reply.result({
        protocolVersion: params.protocolVersion,
        capabilities: { tools: { listChanged: true } },
        serverInfo: { name: "odd-http", version: "1.0.0" },
      });
    case "tools/list":
      return reply.result({ tools: listed.map((name) => ({ name, inputSchema: object })) });
    case "tools/call":
      return tools[params.name](reply, params);
    case "ping":
      return reply.result({});
    case "notifications/cancelled":
      seen.cancelled.push(params);
      return;
    default:
      if (id !== undefined) reply.answer({ error: { code: -32601, message: "Method not found" } });
  }
}

const isRequest = ({ id, method }) => id !== undefined && method !== undefined;

/** The session that a request names; one is made for `initialize`. Undefined where it is not known. */
function sessionOf(request, message) {
  const url = new URL(request.url, "http://localhost");
  const id = isSse ? url.searchParams.get("session") : request.headers["mcp-session-id"];
  if (options.session === "off") return {};
  if (message.method !== "initialize" || isSse) return sessions.get(id);
  const session = { id: randomUUID() };
  sessions.set(session.id, session);
  return { ...session, isNew: true };
}

function post(request, response, body) {
  const message = JSON.parse(body);
  seen.requests.push({
    method: message.method,
    tool: message.params?.name,
    session: request.headers["mcp-session-id"],
    version: request.headers["mcp-protocol-version"],
  });
  const session = sessionOf(request, message);
  if (session === undefined) {
    const error = { code: -32000, message: "Bad Request: No valid session ID provided" };
    return response
      .writeHead(Number(options.forgotten ?? 404))
      .end(json({ id: message.id, error }));
  }
  if (options.note === "hang" && message.method === "notifications/cancelled") return;
  const reply = new Reply(message.id, response, session, request.headers);
  const { name, arguments: given } = message.params ?? {};
  // Over SSE too, a status is what the POST gets.
  const own = ["status", "reset"].includes(name) || given?.post === true;
  if (!isRequest(message) || (isSse && !own)) response.writeHead(202).end();
  void handle(reply, message);
}

function get(request, response) {
  seen.gets++;
  if (isSse) {
    const session = { id: randomUUID(), stream: response };
    sessions.set(session.id, session);
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(`event: endpoint\ndata: /message?session=${session.id}\n\n`);
    return;
  }
  if (request.headers["last-event-id"] !== undefined) return goOn(request, response);
  if (options.get === "refuse") return response.writeHead(405).end();
  if (options.get === "missing") return response.writeHead(404).end("Cannot GET /mcp");
  if (options.get === "fail") return response.writeHead(500).end("out of order");
  const session = sessions.get(request.headers["mcp-session-id"]);
  if (session === undefined && options.session !== "off") return response.writeHead(404).end();
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write("retry: 1\n\n");
  if (options.get === "close") return response.end();
  if (session !== undefined) session.stream = response;
}

/** What the server does when it is told to. */
const acts = {
  forget: () => sessions.clear(),
  "drop-get"() {
    for (const { stream } of sessions.values()) stream?.destroy();
  },
  "end-get"() {
    for (const { stream } of sessions.values()) stream?.end();
  },
  exit: () => void later(() => process.exit(7)),
};

const read = async (request) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  return body;
};

const server = createServer(async (request, response) => {
  const { method, url } = request;
  if (url === "/seen") return response.end(JSON.stringify(seen));
  const act = /^\/do\/(.+)$/.exec(url)?.[1];
  if (act !== undefined) {
    acts[act]();
    return response.end();
  }
  const body = await read(request);
  if (options.redirect !== undefined && !url.startsWith(options.redirect))
    return response.writeHead(307, { location: options.redirect }).end();
  if (method === "GET") return get(request, response);
  if (method === "DELETE") {
    seen.requests.push({ method, session: request.headers["mcp-session-id"] });
    if (options.delete !== "hang") response.end();
    return;
  }
  if (isSse && !url.startsWith("/message")) return response.writeHead(405).end();
  if (options.start === "html")
    return response.writeHead(200, { "content-type": "text/html" }).end("<p>Log in</p>");
  if (/^\d+$/.test(options.start))
    return response.writeHead(Number(options.start)).end(options.say);
  post(request, response, body);
});
server.on("connection", (socket) => {
  seen.mostOpen = Math.max(seen.mostOpen, ++seen.open);
  socket.on("close", () => seen.open--);
});
server.listen(Number(options.port ?? 0), "127.0.0.1", () => {
  process.stdout.write(`${server.address().port}\n`);
});
