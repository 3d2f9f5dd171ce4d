import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { Caller, JsonObject, Tool } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { asCallError, cancelled, type CallError } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { implementation } from "../version.ts";
import { isObject, parseMessages, resultLine } from "../wire.ts";
import { failureResult } from "./failure.ts";
import { ToolList } from "./tool-list.ts";

/** JSON-RPC's codes that we give ourselves. */
const invalidRequest = -32600;
const invalidParams = -32602;
const parseError = -32700;

/** What a session needs besides the gateway. */
export interface SessionOptions {
  readonly principal: string;
  readonly session: string;
  /** Sends one message, as a line without its end. Never throws. */
  readonly write: (line: string) => void;
  /** Resolves when as many upstreams as can be waited for have told their tools. */
  readonly listed: () => Promise<void>;
}

/**
 * One client. Calls and lists of tools are ours, from its line to its line; the SDK's server does the
 * handshake and all else.
 */
export class Session implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #gateway: Gateway;
  readonly #options: SessionOptions;
  readonly #list: ToolList;
  readonly #calls = new Map<unknown, Cancel>();
  #caller: Caller;

  constructor(gateway: Gateway, options: SessionOptions) {
    this.#gateway = gateway;
    this.#options = options;
    this.#list = new ToolList(gateway, () => this.#notify("notifications/tools/list_changed"));
    const { principal, session } = options;
    this.#caller = { principal, session, client: "" };
    const server = new Server(implementation, { capabilities: { tools: { listChanged: true } } });
    void server.connect(this);
  }

  /** Takes a line that the client sent. */
  receive(line: string): void {
    const messages = parseMessages(line);
    if (messages === undefined)
      this.#error(undefined, { code: parseError, message: "Parse error: expected JSON-RPC" });
    else for (const message of messages) this.#take(message);
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  send(message: JSONRPCMessage): Promise<void> {
    this.#options.write(JSON.stringify(message));
    return Promise.resolve();
  }

  /** The client has gone: nothing more is written. */
  close(): Promise<void> {
    this.#list.close();
    for (const call of this.#calls.values()) call.cancel(cancelled("the client has gone"));
    this.onclose?.();
    return Promise.resolve();
  }

  /** How many calls are under way. */
  get inFlight(): number {
    return this.#calls.size;
  }

  #take(message: JsonObject): void {
    const { id, method, params } = message;
    if (id !== undefined && method === "tools/call") this.#call(id, params);
    else if (id !== undefined && method === "tools/list") void this.#sendList(id);
    else if (method === "notifications/cancelled" && this.#cancel(params)) return;
    else {
      if (method === "initialize") this.#know(params);
      this.onmessage?.(message as unknown as JSONRPCMessage);
    }
  }

  #call(id: unknown, params: unknown): void {
    if (typeof id !== "string" && typeof id !== "number")
      return this.#error(undefined, { code: invalidRequest, message: "Invalid request id" });
    const wrong = wrongParams(params);
    if (wrong !== undefined)
      return this.#error(id, { code: invalidParams, message: `tools/call: ${wrong}` });
    const signal = new Cancel();
    this.#calls.set(id, signal);
    const { name } = params as { name: string };
    const tool = this.#gateway.catalog.get(name);
    if (tool !== undefined) return this.#relay(id, signal, tool, params as JsonObject);
    // A client may know the name from an earlier run, and its server may still be connecting.
    void this.#options.listed().then(() => {
      const late = this.#gateway.catalog.get(name);
      if (late !== undefined && signal.reason === undefined)
        this.#relay(id, signal, late, params as JsonObject);
      else
        this.#finish(id, signal, () =>
          this.#error(id, { code: invalidParams, message: `Unknown tool: ${name}` }),
        );
    });
  }

  #relay(id: unknown, signal: Cancel, tool: Tool, params: JsonObject): void {
    const token = (params["_meta"] as JsonObject | undefined)?.["progressToken"];
    this.#gateway
      .callTool(tool, {
        params,
        caller: this.#caller,
        signal,
        ...(token !== undefined && {
          onProgress: (progress) => {
            if (this.#calls.get(id) === signal)
              this.#notify("notifications/progress", { progressToken: token, ...progress });
          },
        }),
      })
      .then(
        (result) => this.#finish(id, signal, () => this.#options.write(resultLine(id, result))),
        (thrown: unknown) => this.#finish(id, signal, () => this.#fail(id, asCallError(thrown))),
      );
  }

  /** Answers a call, unless its caller has taken it back. */
  #finish(id: unknown, signal: Cancel, answer: () => void): void {
    if (this.#calls.get(id) === signal) this.#calls.delete(id);
    if (signal.reason === undefined) answer();
  }

  #fail(id: unknown, error: CallError): void {
    if (error.rpc !== undefined) this.#error(id, error.rpc);
    else this.#options.write(resultLine(id, failureResult(error)));
  }

  #cancel(params: unknown): boolean {
    if (!isObject(params)) return false;
    const call = this.#calls.get(params["requestId"]);
    if (call === undefined) return false;
    const { reason } = params;
    call.cancel(cancelled(typeof reason === "string" ? reason : "the client took it back"));
    return true;
  }

  async #sendList(id: unknown): Promise<void> {
    await this.#options.listed();
    this.#options.write(
      `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${this.#list.text()}}`,
    );
  }

  #know(params: unknown): void {
    const info = isObject(params) ? params["clientInfo"] : undefined;
    if (isObject(info))
      this.#caller = {
        ...this.#caller,
        client: `${String(info["name"])} ${String(info["version"])}`,
      };
  }

  #notify(method: string, params?: JsonObject): void {
    this.#options.write(
      JSON.stringify({ jsonrpc: "2.0", method, ...(params !== undefined && { params }) }),
    );
  }

  #error(id: unknown, error: JsonObject | { code: number; message: string }): void {
    this.#options.write(JSON.stringify({ jsonrpc: "2.0", id, error }));
  }
}

function wrongParams(params: unknown): string | undefined {
  if (!isObject(params)) return "expected params to be an object";
  if (typeof params["name"] !== "string") return "expected params.name to be a string";
  const { _meta: meta } = params;
  return meta === undefined || isObject(meta) ? undefined : "expected params._meta to be an object";
}
