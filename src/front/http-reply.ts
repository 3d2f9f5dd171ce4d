import type { ServerResponse } from "node:http";
import { isObject } from "../wire.ts";

/** Why a request is not taken. */
export interface Refusal {
  readonly status: number;
  /** The code of the JSON-RPC error. Default: that of any refusal by the transport. */
  readonly code?: number;
  readonly message: string;
  readonly data?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The code for what the transport refuses, as other servers give it. */
const refused = -32000;

const sessionNotFound = -32001;

/** Makes a refusal. */
export const refusal = (
  status: number,
  message: string,
  more: Omit<Refusal, "status" | "message"> = {},
): Refusal => ({ status, message, ...more });

/** Tells a client to begin a new session. */
export const sessionGone: Refusal = refusal(404, "Session not found", { code: sessionNotFound });

export const isRefusal = (value: unknown): value is Refusal =>
  isObject(value) && typeof value["status"] === "number" && typeof value["message"] === "string";

/** Answers a request with why it is not taken. `id` is that of its JSON-RPC message, where one was read. */
export function refuse(response: ServerResponse, why: Refusal, id: unknown = null): void {
  const { status, code = refused, message, data, headers } = why;
  const error = { code, message, ...(data !== undefined && { data }) };
  json(response, status, JSON.stringify({ jsonrpc: "2.0", id, error }), headers);
}

/** Answers with a JSON text. */
export function json(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const body = asBody(text);
  response.writeHead(status, {
    "content-type": "application/json",
    "cache-control": "no-store",
    "content-length": Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}

/** Characters from which on a text waits for its reader as bytes: as a string it would be there several times. */
const large = 64 * 1024;

/** What is written of a text. */
export const asBody = (text: string): string | Buffer =>
  text.length < large ? text : Buffer.from(text);
