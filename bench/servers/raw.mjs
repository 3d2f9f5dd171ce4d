// An MCP server by hand, which costs so little that the gateway is what is measured:
//   node raw.mjs [--tools=N] [--port=N]
// On stdin and stdout; with a port, Streamable HTTP that answers with JSON.
import http from "node:http";
import process from "node:process";
import { parseArgs } from "node:util";
import { lineReader, lineWriter } from "../driver/lines.mjs";
import { callTool, makeTools } from "./tools.mjs";

const { values } = parseArgs({
  options: { tools: { type: "string", default: "3" }, port: { type: "string" } },
});
const tools = makeTools(Number(values.tools));

const handlers = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: "raw", version: "1.0.0" },
  }),
  ping: () => ({}),
  "tools/list": () => ({ tools }),
  "tools/call": ({ name, arguments: given }) => callTool(name, given),
};

/** The answer as text; undefined: there is none to a notification. */
function answer(text) {
  const { id, method, params } = JSON.parse(text);
  if (id === undefined) return undefined;
  const result = handlers[method]?.(params);
  return JSON.stringify(
    result === undefined
      ? { jsonrpc: "2.0", id, error: { code: -32601, message: `there is no ${method}` } }
      : { jsonrpc: "2.0", id, result },
  );
}

if (values.port === undefined) {
  const write = lineWriter(process.stdout);
  process.stdin.on(
    "data",
    lineReader((line) => {
      const text = answer(line);
      if (text !== undefined) write(text);
    }),
  );
  process.stdin.on("end", () => process.exit(0));
} else
  http
    .createServer((request, response) => {
      const chunks = [];
      request.on("data", (chunk) => chunks.push(chunk));
      request.on("end", () => {
        if (request.method !== "POST") return response.writeHead(405).end();
        const text = answer(Buffer.concat(chunks).toString());
        if (text === undefined) return response.writeHead(202).end();
        const headers = { "content-type": "application/json", "mcp-session-id": "one" };
        response.writeHead(200, headers).end(text);
      });
    })
    .listen(Number(values.port), "127.0.0.1");
