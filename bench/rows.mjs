// Everything that is measured, one row each.
//
// name, about       as tables have them
// transport         between client and row: "stdio", "http" (Streamable HTTP at `path`), "sse"
// single            it can have one server only
// peer              the folder below bench/peers that `npm run bench -- --peers` fills
// own               a way of running Holdfast, for the phases that name it
// program(place)    [command, ...arguments]; a place has folder, config (a file), port, server (the first one's command)
// files(servers)    what is written into the folder: file name to text; default: servers.json
// environment       of the program
// toolName          (server, tool) to the name that is called; default: server__tool
// call              (server, tool, arguments) to the params of tools/call, where tools are behind another tool
import { existsSync } from "node:fs";
import { arch, platform } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const node = process.execPath;
export const root = fileURLToPath(new URL("..", import.meta.url));
export const peersFolder = join(root, "bench/peers");
const gateway = (name) => join(root, "bench/gateways", name);
const peer = (...path) => join(peersFolder, ...path);
const bare = (_server, tool) => tool;
const loopback = { NODE_OPTIONS: `--require=${gateway("loopback.cjs")}` };
const holdfast = join(root, "dist/main.js");

const json = (value) => JSON.stringify(value, null, 2);
const mcpServers = (servers) => ({ "servers.json": json({ mcpServers: servers }) });
const ownConfig =
  (more) =>
  (servers, { port }) => ({
    "servers.json": json({
      mcpServers: servers,
      http: { port },
      log: { level: "info", file: "holdfast.log" },
      ...more,
    }),
  });

export const rows = [
  {
    name: "direct",
    about: "no gateway: the client speaks to the server",
    transport: "stdio",
    single: true,
    isServer: true,
    program: ({ server }) => [server.command, ...server.args],
    toolName: bare,
  },
  {
    name: "raw-best",
    about: "a relay by hand: no SDK, no checks, no policies",
    transport: "stdio",
    program: ({ config }) => [node, gateway("raw-best.mjs"), config],
  },
  {
    name: "holdfast",
    about: "Holdfast, with all policies as they are by default",
    transport: "stdio",
    program: ({ config }) => [node, holdfast, "serve", "--config", config],
    files: ownConfig({}),
  },
  {
    name: "holdfast-reads",
    about: "the same, calling a tool that only reads, which may be shared and repeated",
    transport: "stdio",
    own: true,
    echo: "look_up",
    program: ({ config }) => [node, holdfast, "serve", "--config", config],
    files: ownConfig({}),
  },
  {
    name: "sdk-minimal",
    about: "the SDK's Client and Server, and nothing else",
    transport: "stdio",
    program: ({ config }) => [node, gateway("sdk-minimal.mjs"), config],
  },
  {
    name: "slop-mcp",
    about: "a Go program; tools are behind a tool of its own",
    transport: "stdio",
    peer: "slop-mcp",
    program: () => [
      peer(
        "slop-mcp/node_modules/@standardbeagle/slop-mcp/binaries",
        `slop-mcp-${platform()}-${arch() === "x64" ? "amd64" : arch()}`,
      ),
      "serve",
    ],
    files: (servers) => ({
      ".slop-mcp.kdl": Object.entries(servers)
        .map(
          ([name, { command, args }]) =>
            `mcp "${name}" {\n  type "stdio"\n  command "${command}"\n  args ${args.map((text) => `"${text}"`).join(" ")}\n}\n`,
        )
        .join(""),
    }),
    call: (server, tool, given) => ({
      name: "execute_tool",
      arguments: { mcp_name: server, tool_name: tool, parameters: given },
    }),
  },
  {
    name: "civic-passthrough",
    about: "a library for one server",
    transport: "stdio",
    single: true,
    peer: "civic-passthrough",
    program: ({ config }) => [node, peer("civic-passthrough/civic.mjs"), config],
    toolName: bare,
  },
  {
    name: "direct-http",
    about: "no gateway: a server by hand that answers with JSON",
    transport: "http",
    single: true,
    isServer: true,
    program: ({ server, port }) => [server.command, ...server.args, `--port=${port}`],
    toolName: bare,
  },
  {
    name: "holdfast-http",
    about: "Holdfast, with all policies as they are by default",
    transport: "http",
    program: ({ config }) => [node, holdfast, "serve", "--http", "--config", config],
    files: ownConfig({}),
  },
  {
    name: "mcp-hub",
    about: "HTTP+SSE",
    transport: "sse",
    peer: "mcp-hub",
    program: ({ config, port }) => [
      node,
      peer("mcp-hub/node_modules/mcp-hub/dist/cli.js"),
      `--port=${port}`,
      `--config=${config}`,
    ],
    environment: loopback,
  },
  {
    name: "mcp-use",
    about: "its server.proxy()",
    transport: "http",
    peer: "mcp-use",
    program: ({ config, port }) => [node, peer("mcp-use/mcp-use.mjs"), config, String(port)],
    environment: { ...loopback, NODE_ENV: "production" },
    toolName: (server, tool) => `${server}_${tool}`,
  },
  {
    name: "mcp-proxy",
    about: "for one server",
    transport: "http",
    single: true,
    peer: "mcp-proxy",
    program: ({ server, port }) => [
      node,
      peer("mcp-proxy/node_modules/mcp-proxy/dist/bin/mcp-proxy.mjs"),
      "--host=127.0.0.1",
      `--port=${port}`,
      "--server=stream",
      "--",
      server.command,
      ...server.args,
    ],
    toolName: bare,
  },
].map((row) => ({
  files: mcpServers,
  environment: {},
  toolName: (server, tool) => `${server}__${tool}`,
  echo: "echo",
  ...row,
}));

/** Whether a row can be run: a peer has to be installed. */
export const isInstalled = (row) => row.peer === undefined || existsSync(peer(row.peer));

/** The row of that name. */
export function findRow(name) {
  const row = rows.find((candidate) => candidate.name === name);
  if (row === undefined)
    throw new Error(`there is no row ${name}: ${rows.map((each) => each.name).join(", ")}`);
  return row;
}

/** Holdfast on stdio with more config, under a name of its own. */
export const holdfastWith = (name, config) => ({
  ...findRow("holdfast"),
  name,
  files: ownConfig(config),
});
