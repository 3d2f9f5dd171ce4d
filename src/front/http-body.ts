import type { IncomingMessage } from "node:http";
import type { JsonObject } from "../call.ts";
import { isObject } from "../wire.ts";
import { refusal, type Refusal } from "./http-reply.ts";

/** Objects and lists within each other; what is deeper is not taken apart. */
const deepest = 200;

const invalidRequest = -32600;
const parseError = -32700;

/** The messages of one body. */
export interface Body {
  readonly messages: readonly JsonObject[];
  /** Whether they came as a list. */
  readonly isBatch: boolean;
}

/** Reads a body of JSON-RPC messages, of up to `maxBytes` bytes and `maxBatch` messages. */
export async function readBody(
  request: IncomingMessage,
  limits: { readonly maxBodyBytes: number; readonly maxBatch: number },
): Promise<Body | Refusal> {
  const { maxBodyBytes, maxBatch } = limits;
  if (Number(request.headers["content-length"] ?? 0) > maxBodyBytes) return tooLarge(maxBodyBytes);
  const bytes = await collect(request, maxBodyBytes);
  return bytes === undefined ? tooLarge(maxBodyBytes) : parseBody(bytes, maxBatch);
}

/** What is left of such a body is not read. */
const tooLarge = (most: number): Refusal =>
  refusal(413, `the body is larger than ${most} bytes`, { headers: { connection: "close" } });

/** All bytes of a request; undefined where they are more than `most`. Rejects where it breaks off. */
function collect(request: IncomingMessage, most: number): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const take = (chunk: Buffer): void => {
      length += chunk.length;
      if (length <= most) return void chunks.push(chunk);
      request.off("data", take);
      request.pause();
      resolve(undefined);
    };
    request.on("data", take);
    request.on("end", () => {
      const [first] = chunks;
      resolve(first?.length === length ? first : Buffer.concat(chunks, length));
    });
    request.on("error", reject);
    request.on("close", () => {
      if (!request.readableEnded) reject(new Error("the request broke off"));
    });
  });
}

/** Takes a body apart. */
export function parseBody(bytes: Buffer, maxBatch: number): Body | Refusal {
  // So many levels do not fit into fewer bytes.
  if (bytes.length > deepest && isDeep(bytes))
    return refusal(400, `the body is nested deeper than ${deepest} levels`, {
      code: invalidRequest,
    });
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString("utf8"));
  } catch {
    return refusal(400, "Parse error: expected JSON", { code: parseError });
  }
  const isBatch = Array.isArray(parsed);
  const list: unknown[] = Array.isArray(parsed) ? parsed : [parsed];
  if (list.length > maxBatch)
    return refusal(400, `a batch of ${list.length} messages; at most ${maxBatch} are taken`, {
      code: invalidRequest,
    });
  const messages = list.filter(isMessage);
  if (list.length === 0 || messages.length < list.length)
    return refusal(400, "Invalid Request: expected JSON-RPC 2.0 messages", {
      code: invalidRequest,
    });
  return { messages, isBatch };
}

/** A request has an id that is a string or a number, as has a result; an error may be about what had none. */
function isMessage(value: unknown): value is JsonObject {
  if (!isObject(value) || value["jsonrpc"] !== "2.0") return false;
  const { id, method } = value;
  const hasId = typeof id === "string" || typeof id === "number";
  if (typeof method === "string") return hasId || !("id" in value);
  return method === undefined && ("error" in value || (hasId && "result" in value));
}

const quote = 0x22;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Whether JSON text is nested deeper than is taken: told before it is parsed. */
function isDeep(bytes: Buffer): boolean {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index];
    if (inString) {
      if (byte === backslash) index++;
      else if (byte === quote) inString = false;
    } else if (byte === quote) inString = true;
    else if (byte === openBracket || byte === openBrace) {
      if (++depth > deepest) return true;
    } else if (byte === closeBracket || byte === closeBrace) depth--;
  }
  return false;
}
