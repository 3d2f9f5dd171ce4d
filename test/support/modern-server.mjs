// An MCP server of the newer era, made with the reference SDK. Notes in a file what it gets, one a line.
//   node modern-server.mjs --log=FILE [--legacy=serve] [--http=PORT] [--die-at=METHOD] [--slow-start=MS]
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { PassThrough, Readable } from "node:stream";
import process from "node:process";
import {
  completable,
  createMcpHandler,
  fromJsonSchema,
  inputRequired,
} from "@modelcontextprotocol/server";
import { McpServer, ResourceTemplate } from "@modelcontextprotocol/server";
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { z } from "zod";

const options = Object.fromEntries(
  process.argv.slice(2).map((argument) => argument.replace(/^--/, "").split(/=(.*)/s)),
);
const legacy = options.legacy === "serve";
const tell = (...words) => appendFileSync(options.log, `${words.join(" ")}\n`);
tell("start", process.pid);
const text = (value) => ({
  content: [{ type: "text", text: typeof value === "string" ? value : JSON.stringify(value) }],
});
const none = z.object({});

/** What tools change, and who is told of it. */
let extra = [];
let notify;

const yes = { type: "object", properties: { sure: { type: "boolean" } }, required: ["sure"] };
const questions = {
  confirm: () => inputRequired.elicit({ message: "Are you sure?", requestedSchema: yes }),
  visit: () => inputRequired.elicitUrl({ message: "Sign in", url: "https://example.com/sign-in" }),
  think: () =>
    inputRequired.createMessage({
      messages: [{ role: "user", content: { type: "text", text: "2 + 2?" } }],
      maxTokens: 10,
    }),
  folders: () => inputRequired.listRoots(),
};

/** Asks what its arguments name, all at once or one after the other, and answers with the answers. */
function ask({ what, oneByOne }, ctx) {
  const state = ctx.mcpReq.requestState();
  const known = { ...(state === undefined ? {} : JSON.parse(state)), ...ctx.mcpReq.inputResponses };
  const missing = what.filter((name) => known[name] === undefined);
  if (missing.length === 0) return text(known);
  const now = oneByOne ? missing.slice(0, 1) : missing;
  return inputRequired({
    inputRequests: Object.fromEntries(now.map((name) => [name, questions[name]()])),
    ...(oneByOne && { requestState: JSON.stringify(known) }),
  });
}

function make() {
  const server = new McpServer(
    { name: "modern", version: "1.0.0" },
    {
      instructions: "Be modern.",
      capabilities: {
        logging: {},
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
      },
    },
  );
  const tool = (name, inputSchema, run, over = {}) =>
    server.registerTool(name, { description: name, inputSchema, ...over }, run);
  const read = { annotations: { readOnlyHint: true } };
  tool("echo", z.object({ text: z.string() }), ({ text: said }) => text(said), read);
  tool("pid", none, () => text(String(process.pid)));
  tool("envelope", none, (_, ctx) => text({ ...ctx.mcpReq.envelope, _meta: ctx.mcpReq._meta }));
  tool("large", z.object({ size: z.number() }), ({ size }) => text("é".repeat(size)));
  tool("steps", z.object({ count: z.number() }), async ({ count }, ctx) => {
    const { progressToken } = ctx.mcpReq._meta ?? {};
    for (let progress = 1; progress <= count; progress++)
      await ctx.mcpReq.notify({
        method: "notifications/progress",
        params: { progressToken, progress, total: count },
      });
    return text("stepped");
  });
  tool("log", none, async (_, ctx) => {
    await ctx.mcpReq.log("info", "something happened");
    return text("logged");
  });
  tool("never", none, (_, ctx) => {
    tell("call of never");
    return new Promise((resolve) =>
      ctx.mcpReq.signal.addEventListener("abort", () => {
        tell("cancel of never");
        resolve(text("cancelled"));
      }),
    );
  });
  tool("ask", z.object({ what: z.array(z.string()), oneByOne: z.boolean().default(false) }), ask);
  tool("ask_read", z.object({ what: z.array(z.string()) }), ask, read);
  const header = (type, of) => ({ type, "x-mcp-header": of });
  const place = { region: header("string", "Region"), zone: header("integer", "Zone") };
  tool("place", fromJsonSchema({ type: "object", properties: place }), (args, ctx) =>
    text({ args, region: ctx.http?.req?.headers.get("mcp-param-region") }),
  );
  const wrong = { list: header("array", "List") };
  tool("misplaced", fromJsonSchema({ type: "object", properties: wrong }), () => text("never"));
  tool("grow", z.object({ name: z.string() }), ({ name }) => {
    extra = [...extra, name];
    if (notify === undefined) tool(name, none, () => text(name));
    else notify.toolsChanged();
    return text("grown");
  });
  tool("touch", none, async () => {
    if (notify === undefined) await server.server.sendResourceUpdated({ uri: "note://one" });
    else notify.resourceUpdated("note://one");
    return text("touched");
  });
  tool("break_streams", none, () => {
    setImmediate(() => breakStreams());
    return text("broken");
  });
  if (notify !== undefined) for (const name of extra) tool(name, none, () => text(name));

  const contents = (uri, said) => ({ contents: [{ uri: uri.href, text: said }] });
  server.registerResource("one", "note://one", {}, (uri) => contents(uri, "one"));
  server.registerResource(
    "any",
    new ResourceTemplate("note://any/{id}", {
      list: undefined,
      complete: { id: (value) => ["alpha", "beta"].filter((id) => id.startsWith(value)) },
    }),
    {},
    (uri, { id }) => contents(uri, id),
  );
  const word = completable(z.string(), (value) =>
    ["hello", "help"].filter((w) => w.startsWith(value)),
  );
  server.registerPrompt("greet", { argsSchema: z.object({ word }) }, (args, ctx) => {
    const sure = ctx.mcpReq.inputResponses?.confirm?.content?.sure;
    if (args.word === "ask" && sure === undefined)
      return inputRequired({ inputRequests: { confirm: questions.confirm() } });
    return {
      messages: [{ role: "user", content: { type: "text", text: `${args.word} ${sure ?? ""}` } }],
    };
  });
  return server;
}

const streams = new Set();
const breakStreams = () => {
  for (const stream of streams) stream.destroy();
};

async function overHttp(port) {
  const handler = createMcpHandler(make, { legacy: legacy ? "stateless" : "reject" });
  notify = handler.notify;
  const http = createServer((req, res) => {
    const { "mcp-method": method, "mcp-name": name } = req.headers;
    tell(method ?? `${req.method} of the older era`, ...(name === undefined ? [] : [name]));
    if (method === "subscriptions/listen") streams.add(res);
    const stop = new AbortController();
    res.on("close", () => {
      streams.delete(res);
      stop.abort();
    });
    const url = `http://${req.headers.host}${req.url}`;
    const body = req.method === "POST" ? Readable.toWeb(req) : undefined;
    const { method: verb, headers } = req;
    handler
      .fetch(new Request(url, { method: verb, headers, body, duplex: "half", signal: stop.signal }))
      .then((response) => {
        res.writeHead(response.status, Object.fromEntries(response.headers));
        res.flushHeaders();
        if (response.body === null) res.end();
        else
          Readable.fromWeb(response.body)
            .on("error", () => res.destroy())
            .pipe(res);
      })
      .catch(() => res.destroy());
  });
  await new Promise((resolve) => http.listen(port, "127.0.0.1", resolve));
  process.stdout.write(`${http.address().port}\n`);
}

function overStdio() {
  const input = new PassThrough();
  let rest = "";
  process.stdin.setEncoding("utf8");
  process.stdin.on("data", (chunk) => {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const { method } = JSON.parse(line);
      tell(method ?? "an answer");
      if (method !== undefined && method === options["die-at"]) process.exit(1);
      input.write(`${line}\n`);
    }
  });
  process.stdin.on("end", () => process.exit(0));
  serveStdio(make, {
    legacy: legacy ? "serve" : "reject",
    transport: new StdioServerTransport(input, process.stdout),
  });
}

if (options.http === undefined) setTimeout(overStdio, Number(options["slow-start"] ?? 0));
else await overHttp(Number(options.http));
