import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { ClientCapabilities } from "@modelcontextprotocol/sdk/types.js";
import type { JsonObject } from "../../src/call.ts";
import { atTestEnd, configFile, main, root, temporaryFolder } from "./gateway.ts";

/** A gateway that serves by HTTP. */
export interface HttpGateway {
  readonly url: string;
  readonly child: ChildProcess;
  /** Of its config. */
  readonly file: string;
  readonly state: string;
  readonly stderr: () => string;
  /** Ends it as a service manager does; resolves with its exit code. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<unknown>;
}

interface GatewayOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** A state folder, to start again on. */
  readonly state?: string;
  /** For Node. */
  readonly args?: readonly string[];
}

/** Starts `holdfast serve --http` on a config, and ends it with the test. */
export async function serveHttp(
  config: JsonObject,
  { env = {}, state = temporaryFolder(), args = [] }: GatewayOptions = {},
): Promise<HttpGateway> {
  const file = configFile({ builtins: ["status"], ...config });
  const child = spawn(process.execPath, [...args, main, "serve", "--http", "--config", file], {
    cwd: root,
    env: { ...process.env, ...env, HOLDFAST_STATE_DIR: state },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const exited = once(child, "exit");
  let text = "";
  const url = new Promise<string>((resolve, reject) => {
    child.stderr?.on("data", (chunk: Buffer) => {
      text += String(chunk);
      const found = /http:\/\/\S+\/mcp/.exec(text)?.[0];
      if (found !== undefined) resolve(found);
    });
    child.on("exit", (code) => reject(new Error(`ended with ${code}: ${text}`)));
  });
  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<unknown> => {
    child.kill(signal);
    const [code] = (await exited) as [unknown];
    return code;
  };
  atTestEnd(() => stop());
  return { url: await url, child, file, state, stderr: () => text, stop };
}

/** What a raw request was answered with. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface RawRequest {
  readonly method?: string;
  readonly path?: string;
  /** Instead of those that a client sends; undefined leaves one out. */
  readonly headers?: Record<string, string | undefined>;
  readonly body?: unknown;
}

/** One HTTP request as its parts say, also with headers that `fetch` does not let anyone set. */
export function raw(
  url: string,
  { method = "POST", path, headers = {}, body }: RawRequest,
): Promise<RawAnswer> {
  const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
  const all = {
    accept: "application/json, text/event-stream",
    "content-type": text === undefined ? undefined : "application/json",
    ...headers,
  };
  const given = Object.fromEntries(
    Object.entries(all).filter(([, value]) => value !== undefined),
  ) as Record<string, string>;
  return new Promise((resolve, reject) => {
    const request = httpRequest(new URL(path ?? url, url), {
      method,
      headers: given,
      agent: false,
    });
    request.on("error", reject);
    request.on("response", (response) => {
      let received = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (received += chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: received }),
      );
    });
    request.end(text);
  });
}

export const initialize = (capabilities: JsonObject = {}, id: unknown = 1): JsonObject => ({
  jsonrpc: "2.0",
  id,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities,
    clientInfo: { name: "raw", version: "1.0.0" },
  },
});

/** Opens a session with raw requests; its id. */
export async function openSession(
  url: string,
  headers: Record<string, string> = {},
  version = "2025-11-25",
): Promise<string> {
  const body = initialize();
  (body["params"] as JsonObject)["protocolVersion"] = version;
  const answer = await raw(url, { headers, body });
  const id = String(answer.headers["mcp-session-id"]);
  const noted = { jsonrpc: "2.0", method: "notifications/initialized" };
  await raw(url, { headers: { ...headers, "mcp-session-id": id }, body: noted });
  return id;
}

/** The SDK's client, connected by HTTP until the test ends. */
export async function sdkClient(
  url: string,
  capabilities: ClientCapabilities = {},
  prepare: (client: Client) => void = () => {},
  headers: Record<string, string> = {},
): Promise<{ client: Client; transport: StreamableHTTPClientTransport }> {
  const client = new Client({ name: "sdk", version: "1.0.0" }, { capabilities });
  prepare(client);
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  await client.connect(transport);
  atTestEnd(() => client.close());
  return { client, transport };
}

/** A stream of events that is being read. */
export interface Listening {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The ids of the events that came, and what they held. */
  readonly ids: string[];
  readonly messages: JsonObject[];
  /** Everything that came, as text. */
  readonly text: () => string;
  /** Waits until so many messages have come. */
  readonly until: (count: number) => Promise<void>;
  readonly ended: Promise<void>;
  /** Breaks the connection. */
  readonly cut: () => void;
}

/** Sends a request and reads what comes as events, for as long as the caller lets it. */
export function listen(
  url: string,
  { method = "GET", headers = {}, body }: RawRequest,
): Promise<Listening> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const given = {
    accept: text === undefined ? "text/event-stream" : "application/json, text/event-stream",
    ...(text !== undefined && { "content-type": "application/json" }),
    ...headers,
  };
  return new Promise((resolve, reject) => {
    const request = httpRequest(new URL(url), { method, headers: given, agent: false });
    atTestEnd(() => request.destroy());
    request.on("error", reject);
    request.on("response", (response) => {
      let received = "";
      let rest = "";
      const ids: string[] = [];
      const messages: JsonObject[] = [];
      const watchers = new Set<() => void>();
      response.setEncoding("utf8");
      response.on("error", () => {});
      response.on("data", (chunk: string) => {
        received += chunk;
        const events = `${rest}${chunk}`.split("\n\n");
        rest = events.pop() ?? "";
        for (const event of events) {
          const id = /^id: (.*)$/m.exec(event)?.[1];
          const data = /^data: (.+)$/m.exec(event)?.[1];
          if (id !== undefined) ids.push(id);
          if (data !== undefined) messages.push(JSON.parse(data) as JsonObject);
        }
        for (const watcher of watchers) watcher();
      });
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        ids,
        messages,
        text: () => received,
        until: (count) =>
          new Promise((reached) => {
            const look = (): void => {
              if (messages.length >= count) reached();
            };
            watchers.add(look);
            look();
          }),
        ended: new Promise((done) => response.on("close", () => done())),
        cut: () => request.destroy(),
      });
    });
    request.end(text);
  });
}
