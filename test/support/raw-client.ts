import { spawn, type ChildProcess } from "node:child_process";
import type { JsonObject } from "../../src/call.ts";
import { lineReader } from "../../src/wire.ts";

/** What a JSON-RPC request was answered with. */
export interface Answer {
  readonly result?: JsonObject;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
}

export interface RawOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * An MCP client on stdio that hides nothing: it keeps every line of stdout, in order, and fails a test
 * when a line is no JSON-RPC.
 */
export class RawClient {
  readonly child: ChildProcess;
  readonly environment: NodeJS.ProcessEnv;
  /** Every message that came, in order. */
  readonly messages: JsonObject[] = [];
  /** How requests of the server are answered, by method; others are answered with -32601. */
  readonly answers: Record<string, (params: JsonObject) => JsonObject | Promise<JsonObject>> = {};
  /** Lines on stdout that were no JSON-RPC message. */
  readonly noise: string[] = [];
  stderr = "";
  readonly exited: Promise<number | null>;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #watchers = new Set<() => void>();
  #next = 1;

  constructor(command: string, args: readonly string[], { cwd, env }: RawOptions = {}) {
    this.environment = env ?? process.env;
    this.child = spawn(command, [...args], {
      cwd,
      env: this.environment,
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.child.stdout?.on(
      "data",
      lineReader(
        (line) => this.#take(line),
        () => this.noise.push("too long"),
      ),
    );
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += String(chunk);
      for (const watcher of this.#watchers) watcher();
    });
    this.child.stdin?.on("error", () => {});
    this.exited = new Promise((resolve) => this.child.on("close", resolve));
  }

  /** Sends a request and waits for its answer. */
  request(method: string, params?: JsonObject): Promise<Answer> & { id: number } {
    const id = this.#next++;
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.send({ jsonrpc: "2.0", id, method, ...(params !== undefined && { params }) });
    return Object.assign(answer, { id });
  }

  send(message: JsonObject): void {
    this.child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /** `initialize` and its notification. */
  async initialize(capabilities: JsonObject = {}): Promise<JsonObject> {
    const { result } = await this.request("initialize", {
      protocolVersion: "2025-11-25",
      capabilities,
      clientInfo: { name: "raw-client", version: "1.0.0" },
    });
    this.send({ jsonrpc: "2.0", method: "notifications/initialized" });
    return result ?? {};
  }

  /** Calls a tool; the result, or the error as one. */
  async call(name: string, args: JsonObject = {}, meta?: JsonObject): Promise<JsonObject> {
    const { result, error } = await this.request("tools/call", {
      name,
      arguments: args,
      ...(meta !== undefined && { _meta: meta }),
    });
    return result ?? { error };
  }

  async tools(): Promise<JsonObject[]> {
    const { result } = await this.request("tools/list", {});
    return (result?.["tools"] ?? []) as JsonObject[];
  }

  /** Waits until `condition` holds; looked at whenever a message or a line on stderr comes. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  /** Ends stdin, as a client does that leaves; resolves with the exit code. */
  close(): Promise<number | null> {
    this.child.stdin?.end();
    return this.exited;
  }

  async #answer(id: unknown, method: string, params: unknown): Promise<void> {
    const answer = this.answers[method];
    this.send({
      jsonrpc: "2.0",
      id,
      ...(answer === undefined
        ? { error: { code: -32601, message: `no ${method} here`, data: { method } } }
        : { result: await answer((params ?? {}) as JsonObject) }),
    });
  }

  #take(line: string): void {
    let message: JsonObject;
    try {
      message = JSON.parse(line) as JsonObject;
    } catch {
      this.noise.push(line);
      return;
    }
    if (message["jsonrpc"] !== "2.0") this.noise.push(line);
    this.messages.push(message);
    const { id, method } = message;
    if (id !== undefined && typeof method === "string")
      void this.#answer(id, method, message["params"]);
    else if (typeof id === "number") {
      this.#waiting.get(id)?.(message);
      this.#waiting.delete(id);
    }
    for (const watcher of this.#watchers) watcher();
  }
}

/** The text of a result's first content block. */
export const textOf = (result: JsonObject): string =>
  ((result["content"] ?? []) as { text?: string }[])[0]?.text ?? JSON.stringify(result);
