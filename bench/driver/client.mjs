import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { lineReader, lineWriter } from "./lines.mjs";

export const protocolVersion = "2025-06-18";
const initialize = {
  protocolVersion,
  capabilities: {},
  clientInfo: { name: "bench", version: "1.0.0" },
};

/**
 * An MCP client by hand, which costs little beside what is measured. `open()` starts the process and initialises
 * it; how messages travel is up to the classes below it, which have `connect()` and `send(message)`.
 */
export class Client {
  exited = false;
  stderr = "";
  #pending = new Map();
  #nextId = 1;

  /** @param {{ command: string, args: string[], env: object, cwd: string, url?: string }} program */
  constructor({ command, args, env, cwd, url }) {
    this.url = url === undefined ? undefined : new URL(url);
    this.child = spawn(command, args, { cwd, env: { ...process.env, ...env } });
    this.child.stderr.on("data", (text) => (this.stderr = (this.stderr + text).slice(-4000)));
    this.child.stdin.on("error", () => {});
    this.child.on("error", (error) => this.#ended(error.message));
    this.child.on("exit", () => this.#ended("the process ended"));
  }

  async open() {
    await this.connect();
    await this.request("initialize", initialize);
    this.send({ jsonrpc: "2.0", method: "notifications/initialized" });
  }

  /** The result; rejects with what the other side says is wrong, or after `timeoutMs`. */
  request(method, params, timeoutMs) {
    if (this.exited) return Promise.reject(new Error("the process ended"));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const entry = { resolve, reject, timer: undefined };
      this.#pending.set(id, entry);
      if (timeoutMs !== undefined)
        entry.timer = setTimeout(() => this.fail(id, `no answer in ${timeoutMs} ms`), timeoutMs);
      this.send({ jsonrpc: "2.0", id, method, params });
    });
  }

  fail(id, message) {
    this.#take(id)?.reject(new Error(message));
  }

  receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return; // Some programs print what is no message.
    }
    if (message.method === undefined) {
      const entry = this.#take(message.id);
      if (message.error === undefined) entry?.resolve(message.result);
      else entry?.reject(new Error(message.error.message));
    } else if (message.id !== undefined) this.send({ jsonrpc: "2.0", id: message.id, result: {} });
  }

  /** Ends the process: by the end of its stdin, then by SIGTERM, then by SIGKILL. */
  async close() {
    const gone = this.exited || new Promise((done) => this.child.once("exit", () => done(true)));
    this.child.stdin.end();
    for (const [signal, waitMs] of [
      [undefined, this.url === undefined ? 1000 : 0],
      ["SIGTERM", 3000],
      ["SIGKILL", 1000],
    ]) {
      if (signal !== undefined) this.child.kill(signal);
      if ((await Promise.race([gone, sleep(waitMs)])) === true) return;
    }
  }

  #take(id) {
    const entry = this.#pending.get(id);
    this.#pending.delete(id);
    clearTimeout(entry?.timer);
    return entry;
  }

  #ended(message) {
    this.exited = true;
    for (const id of this.#pending.keys()) this.fail(id, message);
  }
}

export class StdioClient extends Client {
  #write = lineWriter(this.child.stdin);

  async connect() {
    this.child.stdout.on(
      "data",
      lineReader((line) => this.receive(line)),
    );
  }

  send(message) {
    this.#write(JSON.stringify(message));
  }
}
