// As little as a gateway on Node can do: no SDK, no checks, no policies.
//   node raw-best.mjs CONFIG
// The answers of servers are not parsed: their id is replaced in the text. Writes of one turn go out together,
// and tools/list is kept as text. It trusts that servers write "jsonrpc" and "id" first, as ours do.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { lineReader, lineWriter } from "../driver/lines.mjs";

const { mcpServers } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const write = lineWriter(process.stdout);
const servers = new Map();
const tools = [];
let listed; // "tools" as text, until one is added

/** Sends requests to one server; `onRest` gets what follows the id in the text of the answer. */
function connect({ command, args }) {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const send = lineWriter(child.stdin);
  const pending = new Map();
  let nextId = 1;
  child.stdout.on(
    "data",
    lineReader((line) => {
      const head = /^\{"jsonrpc":"2\.0","id":(\d+),/.exec(line.slice(0, 64));
      if (head === null) return;
      const id = Number(head[1]);
      const onRest = pending.get(id);
      pending.delete(id);
      onRest?.(line.slice(head[0].length));
    }),
  );
  return {
    send,
    request(method, params, onRest) {
      const id = nextId++;
      pending.set(id, onRest);
      send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    },
  };
}

for (const [prefix, entry] of Object.entries(mcpServers)) {
  const server = connect(entry);
  servers.set(prefix, server);
  const clientInfo = { name: "raw-best", version: "1.0.0" };
  const hello = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo };
  server.request("initialize", hello, () => {
    server.send('{"jsonrpc":"2.0","method":"notifications/initialized"}');
    server.request("tools/list", {}, (rest) => {
      const { result } = JSON.parse(`{${rest}`);
      for (const tool of result.tools) tools.push({ ...tool, name: `${prefix}__${tool.name}` });
      listed = undefined;
    });
  });
}

const serverInfo = { name: "raw-best", version: "1.0.0" };
const handlers = {
  initialize: ({ protocolVersion }) =>
    JSON.stringify({ protocolVersion, capabilities: { tools: {} }, serverInfo }),
  ping: () => "{}",
  "tools/list": () => (listed ??= JSON.stringify({ tools })),
};

process.stdin.on(
  "data",
  lineReader((line) => {
    const { id, method, params } = JSON.parse(line);
    if (id === undefined) return;
    const head = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},`;
    if (method === "tools/call") {
      const [prefix, name] = params.name.split("__");
      params.name = name;
      return servers.get(prefix).request(method, params, (rest) => write(head + rest));
    }
    write(`${head}"result":${handlers[method](params)}}`);
  }),
);
process.stdin.on("end", () => process.exit(0));
