import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { holdfast } from "./ways.mjs";

const CAPABILITIES = { elicitation: {}, sampling: {}, roots: {} };

/** A client of 2025 in front of a Holdfast of its own, which says yes to everything that it is asked. */
export class StdioClient {
  #child;
  #waiting = new Map();
  #lastId = 0;

  /** Starts Holdfast with a config, and says hello. */
  static async open({ config, env }) {
    const args = [holdfast, "--config", config];
    const stdio = ["pipe", "pipe", "inherit"];
    const client = new StdioClient(spawn(process.execPath, args, { env, stdio }));
    await client.request("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: CAPABILITIES,
      clientInfo: { name: "holdfast-conformance", version: "1.0.0" },
    });
    client.#send({ method: "notifications/initialized" });
    return client;
  }

  constructor(child) {
    this.#child = child;
    createInterface({ input: child.stdout }).on("line", (line) => this.#take(JSON.parse(line)));
    child.once("exit", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("holdfast has gone"));
    });
  }

  /** Resolves with the result. Rejects with what the error says. */
  request(method, params) {
    const id = (this.#lastId += 1);
    this.#send({ id, method, params });
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  call(name, args = {}) {
    return this.request("tools/call", { name, arguments: args });
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
