// An MCP server on stdio that misbehaves on request, without the SDK so that it can send anything.
//   node odd-server.mjs [--start=hang|exit|banner] [--start-delay=MS] [--tools=NAME,…] [--name=NAME]
//     [--resources=URI,…] [--logging=on]
import process from "node:process";

const options = Object.fromEntries(
  process.argv.slice(2).map((argument) => argument.replace(/^--/, "").split(/=(.*)/s)),
);
const object = { type: "object" };
const write = (text) => process.stdout.write(text);
const send = (message) => write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
const text = (value) => ({ content: [{ type: "text", text: value }] });

/** Requests to the client that wait for their answer, by id, and the progress that it told. */
const asked = new Map();
const progress = [];
const ask = (method, params) =>
  new Promise((resolve) => {
    const id = `ask-${asked.size}`;
    asked.set(id, resolve);
    send({ id, method, params });
  });

/** What it was told for the life of its connection. */
const told = [];

/** Requests that were taken back, by id. */
const cancelled = [];

/** By name: the definition less the name, and what a call does. Undefined is no answer. */
const tools = {
  echo: [{ inputSchema: object }, (params) => text(JSON.stringify(params.arguments ?? null))],
  pid: [{ inputSchema: object }, () => text(String(process.pid))],
  environment: [{ inputSchema: object }, () => text(JSON.stringify(process.env))],
  params: [{ inputSchema: object }, (params) => text(JSON.stringify(params))],
  cancelled: [{ inputSchema: object }, () => text(JSON.stringify(cancelled))],
  never: [{ inputSchema: object }, () => undefined],
  null_result: [{ inputSchema: object }, () => null],
  sleep: [
    { inputSchema: object },
    (params) =>
      new Promise((resolve) => setTimeout(() => resolve(text("slept")), params.arguments.ms)),
  ],
  odd_content: [
    { inputSchema: object },
    () => ({
      content: [{ type: "hologram", depth: 3, nested: { x: [null, 1.5, "é\u2028"] } }],
      structuredContent: { a: 1 },
      isError: true,
      extra: { kept: true },
      _meta: { "example.com/trace": "t1" },
    }),
  ],
  rpc_error: [
    { inputSchema: object },
    () => {
      throw Object.assign(new Error("MCP error -1: kept as it is"), {
        code: -32099,
        data: { why: [1] },
      });
    },
  ],
  link: [
    { inputSchema: object },
    (params) => ({ content: [{ type: "resource_link", uri: params.arguments.uri, name: "link" }] }),
  ],
  ask: [
    { inputSchema: object },
    async (params) => {
      const answer = await ask(params.arguments.method, {
        ...params.arguments.params,
        _meta: { progressToken: 7 },
      });
      return text(JSON.stringify({ answer, progress }));
    },
  ],
  burst: [
    { inputSchema: object },
    (params, id) => {
      const progressToken = params._meta?.progressToken;
      const notes = Array.from({ length: params.arguments.count }, (_, n) => ({
        jsonrpc: "2.0",
        method: "notifications/progress",
        params: {
          progressToken,
          progress: n + 1,
          total: params.arguments.count,
          message: `note ${n + 1}`,
        },
      }));
      const answer = { jsonrpc: "2.0", id, result: text("done") };
      write(`${[...notes, answer].map((message) => JSON.stringify(message)).join("\n")}\n`);
    },
  ],
  steps: [
    { inputSchema: object },
    async ({ arguments: { count, everyMs }, _meta }) => {
      for (let n = 1; n <= count; n++) {
        await new Promise((resolve) => setTimeout(resolve, everyMs));
        send({
          method: "notifications/progress",
          params: { progressToken: _meta?.progressToken, progress: n },
        });
      }
      return text("stepped");
    },
  ],
  large: [{ inputSchema: object }, (params) => text("x".repeat(params.arguments.bytes))],
  flood: [
    { inputSchema: object },
    (params) => {
      for (let n = 0; n < params.arguments.lines; n++)
        process.stderr.write(`${"noise ".repeat(1000)}\n`);
      return text("flooded");
    },
  ],
  told: [{ inputSchema: object }, () => text(JSON.stringify(told))],
  update: [
    { inputSchema: object },
    ({ arguments: { uri } }) => {
      send({ method: "notifications/resources/updated", params: { uri } });
      return text("updated");
    },
  ],
  log: [
    { inputSchema: object },
    async ({ arguments: { level, data, ms = 0 } }) => {
      send({ method: "notifications/message", params: { level, data } });
      await new Promise((resolve) => setTimeout(resolve, ms));
      return text("logged");
    },
  ],
  deaf: [
    { inputSchema: object },
    () => {
      process.stdin.pause();
      setInterval(() => {}, 1000); // it stays
      return text("deaf");
    },
  ],
  crash: [{ inputSchema: object }, () => process.exit(7)],
  change: [
    { inputSchema: object },
    (params) => {
      listed = params.arguments.tools;
      send({ method: "notifications/tools/list_changed" });
      return text("changed");
    },
  ],
  garbage: [
    { inputSchema: object },
    () => {
      write("this is no JSON\n{broken\n\n[]\n42\n");
      return text("after garbage");
    },
  ],
  no_type: [{ inputSchema: { properties: { a: {} } } }, () => text("no type")],
  no_schema: [{}, () => text("no schema")],
  bad_output: [
    {
      inputSchema: object,
      outputSchema: { type: "object", properties: { a: { $ref: "#/$defs/missing" } } },
    },
    () => text("bad output"),
  ],
  decorated: [
    {
      title: "Decorated",
      inputSchema: {
        ...object,
        $schema: "http://json-schema.org/draft-07/schema#",
        "x-unknown": 1,
      },
      annotations: { readOnlyHint: true, "x-hint": 2 },
      icons: [{ src: "data:image/png;base64,AA==", sizes: ["48x48"] }],
      _meta: { "example.com/kept": [1] },
      unknownField: { deep: true },
    },
    () => text("decorated"),
  ],
  ["x".repeat(120)]: [{ inputSchema: object }, () => text("long")],
  "a.b": [{ inputSchema: object }, () => text("a.b")],
  a_b: [{ inputSchema: object }, () => text("a_b")],
};

let listed = options.tools?.split(",") ?? Object.keys(tools);
const resources = options.resources?.split(",") ?? [];
const pageSize = 7;

const definitionOf = (name) => tools[name]?.[0];

async function handle({ id, method, params, result, error }) {
  switch (method) {
    case undefined:
      return asked.get(id)?.(result ?? { error });
    case "notifications/progress":
      return progress.push(params);
    case "initialize":
      if (options.start === "hang") return;
      return send({
        id,
        result: {
          protocolVersion: params.protocolVersion,
          capabilities: {
            tools: { listChanged: true },
            ...(options.resources !== undefined && { resources: { subscribe: true } }),
            ...(options.logging !== undefined && { logging: {} }),
          },
          serverInfo: { name: options.name ?? "odd", version: "1.0.0" },
        },
      });
    case "tools/list": {
      const from = Number(params?.cursor ?? 0);
      const page = listed
        .slice(from, from + pageSize)
        .map((name) => ({ name, ...definitionOf(name) }));
      const more = from + pageSize < listed.length && { nextCursor: String(from + pageSize) };
      return send({ id, result: { tools: page, ...more } });
    }
    case "tools/call": {
      const tool = tools[params.name];
      if (tool === undefined)
        return send({ id, error: { code: -32602, message: `Unknown tool: ${params.name}` } });
      try {
        const answer = await tool[1](params, id);
        if (answer !== undefined) send({ id, result: answer });
      } catch ({ code, message, data }) {
        send({ id, error: { code, message, data } });
      }
      return;
    }
    case "resources/list":
      return send({ id, result: { resources: resources.map((uri) => ({ uri, name: uri })) } });
    case "resources/read": {
      const { uri } = params;
      if (!resources.includes(uri))
        return send({ id, error: { code: -32002, message: "Resource not found", data: { uri } } });
      return send({ id, result: { contents: [{ uri, text: `${uri} of ${options.name}` }] } });
    }
    case "resources/subscribe":
    case "resources/unsubscribe":
    case "logging/setLevel":
      told.push([method, params.uri ?? params.level]);
      return send({ id, result: {} });
    case "notifications/cancelled":
      cancelled.push(params);
      return;
    default:
      if (id !== undefined) send({ id, error: { code: -32601, message: "Method not found" } });
  }
}

if (options.start === "exit") {
  process.stderr.write("odd-server: cannot open the flux capacitor\n");
  process.exit(3);
}
if (options.start === "banner") write("Welcome to odd-server!\n{not json\n");

let rest = "";
function read(chunk) {
  const lines = `${rest}${chunk}`.split("\n");
  rest = lines.pop();
  for (const line of lines) if (line !== "") void handle(JSON.parse(line));
}
process.stdin.setEncoding("utf8");
setTimeout(
  () => {
    process.stdin.on("data", read);
    process.stdin.on("end", () => process.exit(0));
  },
  Number(options["start-delay"] ?? 0),
);
