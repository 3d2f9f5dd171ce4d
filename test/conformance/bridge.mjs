import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

const IDLE_MS = 2_000;
const VERSION = "io.modelcontextprotocol/protocolVersion";
const SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId";
/** The statuses that the newer era's HTTP binding gives errors. */
const STATUS = new Map([
  [-32601, 404],
  [-32602, 400],
  [-32020, 400],
  [-32021, 400],
  [-32022, 400],
]);

/**
 * Serves stdio servers at `/mcp` on loopback: one process for each session of 2025, and one for all requests of the
 * newer era. Messages are relayed as they are; what HTTP itself demands (sessions, streams, statuses, and the version in
 * the header being the body's) is done here. Resolves with the URL and a function that ends every process.
 */
export async function startBridge(command, args, env) {
  const sessions = new Map();
  let stateless;
  const start = (idleMs, onEnd) =>
    new Peer(spawn(command, args, { env, stdio: PIPES }), idleMs, onEnd);

  /** The header of an HTTP request says its era; on stdio that is known by the first message. */
  function startNewer(version) {
    const peer = start(Infinity, () => (stateless = undefined));
    peer.send({ jsonrpc: "2.0", id: "era", method: "tools/list", params: metaOf(version) });
    return peer;
  }

  const http = createServer((request, response) => {
    take(request, response).catch(() => response.destroy());
  });

  async function take(request, response) {
    const id = request.headers["mcp-session-id"];
    const message = request.method === "POST" ? JSON.parse(await bodyOf(request)) : undefined;
    if (id !== undefined) {
      const peer = sessions.get(id);
      if (peer === undefined) answer(response, 404);
      else if (message !== undefined) peer.post(message, response, {});
      else if (request.method === "GET") peer.listen(response);
      else {
        sessions.delete(id);
        void peer.end();
        answer(response, 200);
      }
    } else if (message === undefined) answer(response, 405);
    else if (!isOfNewerEra(request)) {
      const session = randomUUID();
      const peer = start(IDLE_MS, () => sessions.delete(session));
      sessions.set(session, peer);
      peer.post(message, response, { session });
    } else {
      const claimed = message.params?._meta?.[VERSION];
      if (claimed !== undefined && claimed !== request.headers["mcp-protocol-version"])
        return answer(response, 400, { jsonrpc: "2.0", id: message.id, error: HEADER_MISMATCH });
      stateless ??= startNewer(request.headers["mcp-protocol-version"]);
      stateless.post(message, response, { statuses: true });
    }
  }

  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${http.address().port}/mcp`,
    close: async () => {
      http.close();
      http.closeAllConnections();
      await Promise.all([stateless, ...sessions.values()].map((peer) => peer?.end()));
    },
  };
}

const HEADER_MISMATCH = { code: -32020, message: "Header mismatch: MCP-Protocol-Version" };
const PIPES = ["pipe", "pipe", "inherit"];

/** One process, and the HTTP exchanges that wait for its messages. */
class Peer {
  #child;
  #exited;
  /** Open POSTs by the id of their request. */
  #exchanges = new Map();
  /** The GET stream of a session, if it has one. */
  #stream;
  #idleMs;
  #idle;

  constructor(child, idleMs, onEnd) {
    this.#child = child;
    this.#idleMs = idleMs;
    this.#exited = new Promise((resolve) => child.once("exit", resolve));
    child.stdin.on("error", () => {});
    void this.#exited.then(() => {
      clearTimeout(this.#idle);
      onEnd();
      for (const exchange of this.#exchanges.values()) exchange.response.destroy();
      this.#stream?.response.destroy();
    });
    createInterface({ input: child.stdout }).on("line", (line) => this.#relay(JSON.parse(line)));
  }

  post(message, response, options) {
    const expectsAnswer = message.method !== undefined && message.id !== undefined;
    if (expectsAnswer) {
      const exchange = new Exchange(response, options);
      exchange.token = message.params?._meta?.progressToken;
      this.#exchanges.set(message.id, exchange);
      response.on("close", () => this.#leave(message.id, exchange));
    } else answer(response, 202);
    this.send(message);
    this.#rest();
  }

  listen(response) {
    const stream = new Exchange(response, {});
    stream.open();
    this.#stream = stream;
    response.on("close", () => {
      if (this.#stream === stream) this.#stream = undefined;
      this.#rest();
    });
    this.#rest();
  }

  /** Ends the process as a client does: by closing its stdin. */
  end() {
    this.#child.stdin.end();
    return this.#exited;
  }

  /** Sends a message; whose answer nobody waits for, it is dropped. */
  send(message) {
    this.#child.stdin.write(`${JSON.stringify(message)}\n`);
  }

  /** Sessions are seldom taken leave of: one without a stream is ended after a while. */
  #rest() {
    clearTimeout(this.#idle);
    if (this.#idleMs === Infinity || this.#exchanges.size > 0 || this.#stream !== undefined) return;
    this.#idle = setTimeout(() => this.end(), this.#idleMs).unref();
  }

  /** Who hangs up before the answer takes the request back. */
  #leave(id, exchange) {
    if (this.#exchanges.get(id) === exchange) {
      this.#exchanges.delete(id);
      const params = { requestId: id };
      this.send({ jsonrpc: "2.0", method: "notifications/cancelled", params });
    }
    this.#rest();
  }

  #relay(message) {
    if (message.method === undefined) {
      const exchange = this.#exchanges.get(message.id);
      this.#exchanges.delete(message.id);
      exchange?.finish(message);
    } else this.#streamFor(message)?.write(message);
  }

  /** Stdio says not to which request a message belongs, unless it names it; else it is taken for the latest. */
  #streamFor({ params }) {
    const exchanges = [...this.#exchanges.values()];
    const subscription = params?._meta?.[SUBSCRIPTION];
    if (subscription !== undefined)
      return [...this.#exchanges].find(([id]) => String(id) === String(subscription))?.[1];
    const token = params?.progressToken;
    if (token !== undefined) return exchanges.find((exchange) => exchange.token === token);
    return exchanges.at(-1) ?? this.#stream;
  }
}

/** One HTTP response: a JSON body, or a stream once something comes before the answer. */
class Exchange {
  constructor(response, { session, statuses = false }) {
    this.response = response;
    this.statuses = statuses;
    if (session !== undefined) response.setHeader("mcp-session-id", session);
  }

  open() {
    if (this.response.headersSent) return;
    this.response.writeHead(200, { "content-type": "text/event-stream" });
    this.response.flushHeaders();
  }

  write(message) {
    this.open();
    this.response.write(`data: ${JSON.stringify(message)}\n\n`);
  }

  finish(message) {
    if (this.response.headersSent) {
      this.write(message);
      this.response.end();
    } else {
      const status = this.statuses ? (STATUS.get(message.error?.code) ?? 200) : 200;
      answer(this.response, status, message);
    }
  }
}

function metaOf(version) {
  return { _meta: { [VERSION]: version, "io.modelcontextprotocol/clientCapabilities": {} } };
}

function isOfNewerEra({ headers }) {
  const version = headers["mcp-protocol-version"];
  return version !== undefined && !/^202[45]-/.test(version);
}

function answer(response, status, message) {
  if (message === undefined) response.writeHead(status).end();
  else {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(message));
  }
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
