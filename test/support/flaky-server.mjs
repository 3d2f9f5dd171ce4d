// An MCP server whose calls fail as their arguments ask, and that keeps account of what it did.
//   node flaky-server.mjs --log=FILE [--transport=stdio|http]
// `write` and `read` take { id, plan }: the plan's nth word says what becomes of the nth attempt, "ok" where
// there is none. Every execution appends the id to the file, so that an account outlives the process.
// By HTTP it prints its port on the first line of stdout.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import process from "node:process";

const options = Object.fromEntries(
  process.argv.slice(2).map((argument) => argument.replace(/^--/, "").split(/=(.*)/s)),
);
const attemptsFile = `${options.log}.attempts`;
const linesOf = (file) => (existsSync(file) ? readFileSync(file, "utf8").split("\n") : []);
const count = (file, id) => linesOf(file).filter((line) => line === id).length;
const text = (value, more = {}) => ({ content: [{ type: "text", text: value }], ...more });
const later = (ms, act) => setTimeout(() => act(), ms);

/** What becomes of all attempts while the server is broken. */
let broken;

/** What becomes of an attempt; `reply` has a way for each. `executes` says whether the call is done. */
const behaviours = {
  ok: { executes: true, end: (reply, result) => reply.result(result) },
  slow: { executes: true, end: (reply, result) => later(50, () => reply.result(result)) },
  /** Refused before anything is done. */
  throttled: { end: (reply) => reply.refuse(429, { "retry-after": "0" }, "rate limit, slow down") },
  unavailable: { end: (reply) => reply.refuse(503, {}, "Service unavailable, try again") },
  /** Of these, nobody can tell whether it is done; it is after the last one. */
  500: { end: (reply) => reply.refuse(500, {}, "Internal Server Error") },
  502: { end: (reply) => reply.refuse(502, {}, "Bad Gateway") },
  504: { end: (reply) => reply.refuse(504, {}, "Gateway Timeout") },
  "do-and-502": { executes: true, end: (reply) => reply.refuse(502, {}, "Bad Gateway") },
  /** Lost before it is done, and after. */
  drop: { end: (reply) => reply.drop() },
  "do-and-drop": { executes: true, end: (reply) => reply.drop() },
  hang: { end: () => {} },
  "do-and-hang": { executes: true, end: () => {} },
  "do-and-crash": { executes: true, end: (reply) => reply.crash() },
};

function run(reply, { name, arguments: given = {} }) {
  if (name === "executions") {
    const ids = linesOf(options.log).filter((line) => line !== "");
    return reply.result(text(JSON.stringify(ids)));
  }
  if (name === "times") {
    const times = count(options.log, given.id);
    return reply.result(text(String(times), { structuredContent: { times } }));
  }
  if (name === "break") {
    broken = given.broken ? (given.as ?? "drop") : undefined;
    return reply.result(text("so be it"));
  }
  const { id, plan = [] } = given;
  const attempt = count(attemptsFile, id);
  appendFileSync(attemptsFile, `${id}\n`);
  const behaviour = behaviours[broken ?? plan[attempt] ?? "ok"];
  if (behaviour.executes) appendFileSync(options.log, `${id}\n`);
  later(1, () => behaviour.end(reply, text(`did ${id}`)));
}

const object = { type: "object" };
const tools = [
  { name: "write", inputSchema: object },
  { name: "read", inputSchema: object, annotations: { readOnlyHint: true } },
  { name: "executions", inputSchema: object, annotations: { readOnlyHint: true } },
  { name: "times", inputSchema: object, annotations: { readOnlyHint: true } },
  { name: "break", inputSchema: object },
];

function handle(reply, { method, params, id }) {
  switch (method) {
    case "initialize":
      return reply.result({
        protocolVersion: params.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: "flaky", version: "1.0.0" },
      });
    case "tools/list":
      return reply.result({ tools });
    case "tools/call":
      return run(reply, params);
    default:
      if (id !== undefined) reply.result({});
  }
}

const answer = (id, result) => JSON.stringify({ jsonrpc: "2.0", id, result });

function serveStdio() {
  let rest = "";
  process.stdin.on("data", (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const message = JSON.parse(line);
      handle(
        {
          result: (result) => process.stdout.write(`${answer(message.id, result)}\n`),
          // By stdio there are no statuses; a server says so in an isError.
          refuse: (_status, _headers, why) =>
            process.stdout.write(`${answer(message.id, text(why, { isError: true }))}\n`),
          drop: () =>
            process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id: message.id })}\n`),
          crash() {
            process.stdout.write(answer(message.id, text("half of it")).slice(0, 30));
            later(5, () => process.exit(9));
          },
        },
        message,
      );
    }
  });
  process.stdin.on("end", () => process.exit(0));
}

async function bodyOf(request) {
  let body = "";
  for await (const chunk of request) body += chunk;
  return body;
}

function serveHttp() {
  const server = createServer(async (request, response) => {
    if (request.method !== "POST") return response.writeHead(405).end();
    const message = JSON.parse(await bodyOf(request));
    if (message.id === undefined) response.writeHead(202).end();
    const headers = { "content-type": "application/json" };
    handle(
      {
        result: (result) => response.writeHead(200, headers).end(answer(message.id, result)),
        refuse: (status, more, why) => response.writeHead(status, more).end(why),
        drop: () => response.socket.destroy(),
        crash() {
          response.writeHead(200, headers).write('{"jsonrpc":"2.0",');
          later(5, () => response.socket.destroy());
        },
      },
      message,
    );
  });
  server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
}

if (options.transport === "http") serveHttp();
else serveStdio();
