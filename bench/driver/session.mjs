// Starts a row, and calls tools through it.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { root } from "../rows.mjs";
import { within } from "./calls.mjs";
import { StdioClient } from "./client.mjs";
import { HttpClient, SseClient } from "./http-clients.mjs";
import { gatewayPids } from "./processes.mjs";

const clients = { stdio: StdioClient, http: HttpClient, sse: SseClient };

/** The command of a server to be behind a gateway. */
export const server = ({ tools = 3, kind = "raw" } = {}) => ({
  command: process.execPath,
  args: [join(root, `bench/servers/${kind}.mjs`), ...(kind === "raw" ? [`--tools=${tools}`] : [])],
});

/** So many servers by name: u0, u1, … */
export const makeServers = (count, options) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`u${n}`, server(options)]));

const freePort = () =>
  new Promise((done) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });

/**
 * Starts a row with these servers, and resolves when each is listed and the first has answered right.
 * `state` is a folder for what outlives a run; default: one of its own. `startMs` is the most that it may take.
 */
export async function open(row, { servers = makeServers(1), state, startMs = 60_000 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  const place = {
    folder,
    config: join(folder, "servers.json"),
    port: row.transport === "stdio" ? 0 : await freePort(),
    server: Object.values(servers)[0],
  };
  mkdirSync(join(folder, "state"));
  for (const [name, text] of Object.entries(row.files(servers, place)))
    writeFileSync(join(folder, name), text);
  const [command, ...args] = row.program(place);
  const begin = performance.now();
  const client = new clients[row.transport]({
    command,
    args,
    cwd: folder,
    url: `http://127.0.0.1:${place.port}/mcp`,
    env: {
      HOME: folder,
      XDG_CONFIG_HOME: folder,
      HOLDFAST_STATE_DIR: state ?? join(folder, "state"),
      NO_COLOR: "1",
      ...row.environment,
    },
  });
  const session = new Session(row, client, folder);
  try {
    await within(startMs, session.untilReady(begin, Object.keys(servers)));
    return session;
  } catch (error) {
    await session.close();
    throw new Error(`${error.message} ${client.stderr.trim().slice(-500)}`.trim(), {
      cause: error,
    });
  }
}

class Session {
  /** Milliseconds from the spawn on: initialize answered, every server listed, first call answered. */
  startMs = { initialized: NaN, listed: NaN, called: NaN };
  #closed = false;
  #sent = 0;

  constructor(row, client, folder) {
    this.row = row;
    this.client = client;
    this.folder = folder;
  }

  async untilReady(begin, names) {
    await this.client.open();
    this.startMs.initialized = performance.now() - begin;
    await this.#untilListed(names);
    this.startMs.listed = performance.now() - begin;
    await this.echo(names[0]);
    this.startMs.called = performance.now() - begin;
  }

  /** Calls a tool that returns its text, each time another one, and looks whether it does. */
  async echo(name = "u0") {
    const text = `The quick brown fox jumps over the lazy dog ${this.#sent++}`;
    const answer = await this.callTool(name, this.row.echo, { text });
    const right = this.row.call === undefined ? answer === text : answer.includes(text);
    if (!right) throw new Error(`a wrong answer: ${answer.slice(0, 200)}`);
  }

  /** Calls for a result of so many bytes, and looks whether it has them. */
  async payload(bytes, timeoutMs = 50_000) {
    const { length } = await this.callTool("u0", "payload", { bytes }, timeoutMs);
    const right = this.row.call === undefined ? length === bytes : length >= bytes;
    if (!right) throw new Error(`a result of ${length} bytes`);
  }

  /** The text of a tool's result. */
  async callTool(name, tool, given, timeoutMs) {
    const { row } = this;
    const params =
      row.call === undefined
        ? { name: row.toolName(name, tool), arguments: given }
        : row.call(name, tool, given);
    const result = await this.client.request("tools/call", params, timeoutMs);
    const text = result.content?.[0]?.text ?? "";
    if (result.isError) throw new Error(text.slice(0, 200));
    return text;
  }

  /** All tools, of all pages. */
  async listTools() {
    const tools = [];
    let cursor;
    do {
      const page = await this.client.request("tools/list", cursor === undefined ? {} : { cursor });
      tools.push(...page.tools);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return tools;
  }

  /** Pids of the gateway; none where the row is a server itself. */
  pids() {
    return this.row.isServer ? [] : gatewayPids(this.client.child.pid);
  }

  async close() {
    this.#closed = true;
    await this.client.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #untilListed(names) {
    for (;;) {
      if (this.#closed || (await this.#hasListed(names))) return;
      await sleep(2);
    }
  }

  /** Gateways that have tools behind a tool of their own are asked to call. */
  async #hasListed(names) {
    if (this.row.call !== undefined)
      return Promise.all(names.map((name) => this.echo(name))).then(
        () => true,
        () => false,
      );
    const listed = new Set((await this.listTools()).map((tool) => tool.name));
    return names.every((name) => listed.has(this.row.toolName(name, this.row.echo)));
  }
}
