import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { configure, holdfast } from "./ways.mjs";

/** Milliseconds for a server to come up, with the pauses between the tries. */
const PATIENCE_MS = 10_000;
const CAPABILITIES = { elicitation: {}, sampling: {}, roots: {} };

/** Whether it is said that a person has to authorise Holdfast first. */
export const wantsAuthorisation = (text) => text.includes("run `holdfast auth");

/** How Holdfast is started on the config and state in `folder`. */
export const command = (folder, ...args) => ({
  command: process.execPath,
  args: [holdfast, "--config", join(folder, "servers.json"), ...args],
  env: { ...process.env, HOLDFAST_STATE_DIR: join(folder, "state") },
});

/** A Holdfast with one upstream, whose names are exposed as they are, and a client of 2025 that says yes to everything. */
export class Gateway {
  #child;
  #waiting = new Map();
  #lastId = 0;
  #stderr = "";
  /** What went wrong last. */
  problem = "";

  /** Starts it with `server` as its upstream's config, and says hello. */
  static async start(folder, server) {
    await configure(folder, { ...server, prefix: "" }, { log: { level: "warn" } });
    const { command: program, args, env } = command(folder);
    const gateway = new Gateway(spawn(program, args, { env }));
    await gateway.request("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: CAPABILITIES,
      clientInfo: { name: "holdfast-conformance", version: "1.0.0" },
    });
    gateway.#send({ method: "notifications/initialized" });
    return gateway;
  }

  constructor(child) {
    this.#child = child;
    createInterface({ input: child.stdout }).on("line", (line) => this.#take(JSON.parse(line)));
    child.stderr.on("data", (chunk) => {
      this.#stderr += chunk;
      process.stderr.write(chunk);
    });
    child.once("exit", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("Holdfast has gone"));
    });
  }

  /** Whether `use` comes to its end; where it does not, `problem` says why. */
  async succeeds(use) {
    this.#stderr = "";
    try {
      await use(this);
      return true;
    } catch (error) {
      this.problem = `${error.message}\n${this.#stderr}`;
      return false;
    }
  }

  /** Resolves with the result. Rejects with what the error says. */
  request(method, params) {
    const id = (this.#lastId += 1);
    this.#send({ id, method, params });
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  /** The tools, prompts or resources as they are listed once the upstream was tried. */
  async list(what) {
    return (await this.request(`${what}/list`))[what];
  }

  /** The tools, once the upstream is there. */
  async tools() {
    const until = Date.now() + PATIENCE_MS;
    for (;;) {
      const tools = await this.list("tools");
      if (tools.length > 0) return tools;
      if (wantsAuthorisation(this.#stderr)) throw new Error("there are no tools");
      if (Date.now() > until) throw new Error("there are no tools, for a long time");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Calls a tool. Rejects where the tool says that it failed, too. */
  async call(name, args = {}) {
    const result = await this.request("tools/call", { name, arguments: args });
    if (result.isError) throw new Error(JSON.stringify(result.content));
    return result;
  }

  /** Calls every tool. */
  async useAll() {
    for (const { name } of await this.tools()) await this.call(name);
  }

  async close() {
    const gone = once(this.#child, "exit");
    this.#child.stdin.end();
    await gone;
  }

  #send(message) {
    this.#child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  }

  #take({ id, method, params, result, error }) {
    if (method !== undefined) {
      if (id !== undefined) this.#send({ id, result: answerTo(method, params) });
      return;
    }
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) resolve(result);
    else reject(new Error(`${error.code} ${error.message}`));
  }
}

function answerTo(method, params) {
  if (method === "roots/list") return { roots: [] };
  if (method === "sampling/createMessage")
    return { role: "assistant", content: { type: "text", text: "Yes" }, model: "none" };
  if (method !== "elicitation/create") return {};
  const content = {};
  for (const [name, schema] of Object.entries(params.requestedSchema?.properties ?? {}))
    content[name] = schema.default ?? (schema.type === "boolean" ? true : "yes");
  return { action: "accept", content };
}
