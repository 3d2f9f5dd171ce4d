/*
 * JSON-RPC messages as lines of text, for both sides of the gateway.
 */
import type { Writable } from "node:stream";
import type { JsonObject, Result } from "./call.ts";
import type { RpcError } from "./errors.ts";

/** The largest message that is taken from anyone, in bytes. V8's longest string is twice that. */
export const maxMessageBytes = 256 * 1024 * 1024;

/** Results from this many characters on are not written anew for the sake of a member. */
const largeResult = 64 * 1024;

const newline = 10;

/**
 * A `data` listener that cuts a stream of bytes into lines. Each byte is copied once at most.
 * Of a line over `limit` bytes nothing is kept; `onTooLong` is told instead.
 */
export function lineReader(
  onLine: (line: string) => void,
  onTooLong: () => void,
  limit = maxMessageBytes,
): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let length = 0;
  const take = (part: Buffer): void => {
    if (length <= limit && length + part.length > limit) {
      parts = [];
      onTooLong();
    }
    length += part.length;
    if (length <= limit) parts.push(part);
  };
  return (chunk) => {
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      if (length === 0 && end - start <= limit) {
        if (end > start) onLine(chunk.toString("utf8", start, end));
      } else {
        take(chunk.subarray(start, end));
        const line = parts.length === 1 ? parts[0] : Buffer.concat(parts);
        const kept = length <= limit;
        parts = [];
        length = 0;
        if (kept) onLine(String(line));
      }
      start = end + 1;
    }
    if (start < chunk.length) take(chunk.subarray(start));
  };
}

/** Writes lines to a stream. The lines of one turn of the event loop go out in one write. */
export class LineWriter {
  readonly #stream: Writable;
  #pending = "";

  /** `onPressure` is told true when the other side reads too slowly, and false when it has caught up. */
  constructor(stream: Writable, onPressure?: (slow: boolean) => void) {
    this.#stream = stream;
    if (onPressure !== undefined) {
      this.#onPressure = onPressure;
      stream.on("drain", () => onPressure(false));
    }
  }

  readonly #onPressure: ((slow: boolean) => void) | undefined;

  /** How much is not yet taken by the other side: bytes, or characters of what is all ASCII. */
  get waiting(): number {
    return this.#pending.length + this.#stream.writableLength;
  }

  write(line: string): void {
    if (this.#pending === "") process.nextTick(this.#flush);
    this.#pending += `${line}\n`;
  }

  readonly #flush = (): void => {
    const text = this.#pending;
    this.#pending = "";
    if (this.#stream.writable && !this.#stream.write(text)) this.#onPressure?.(true);
  };
}

/** A constructor that gives back what it is given, so that a class can put a private member into it. */
const Given = function (given: object): object {
  return given;
} as unknown as new (given: object) => object;

/**
 * The members of an answer as they came, less `jsonrpc` and `id`, kept in its result itself where nobody sees
 * it: a WeakMap costs as much as to write a small result anew, and copies of the result must not have it.
 */
class Text extends Given {
  #text: string | undefined;

  static keep(result: Result, text: string | undefined): void {
    if (#text in result) result.#text = text;
    else new Text(result).#text = text;
  }

  static of(result: Result): string | undefined {
    return #text in result ? result.#text : undefined;
  }
}

/** The two ways in which an answer is usually written, and then its id is at one of its ends. */
const head = /^\{"jsonrpc":"2\.0","id":\d+,/;
const tail = /,"jsonrpc":"2\.0","id":\d+\}$/;
const endLength = 64;

/**
 * Remembers in the result of an answer the text that it came as, so that `resultLine` need not write it anew.
 * Who changes the result afterwards has to forget it.
 */
export function keepText(answer: { readonly result: Result }, line: string): void {
  const { result } = answer;
  // What else an answer may hold, such as `error: null`, is not for clients. By HTTP a text may have line
  // breaks, behind which a client would read a message of their author.
  if (Object.keys(answer).length !== 3 || line.includes("\n") || line.includes("\r")) return;
  const first = head.exec(line.slice(0, endLength));
  if (first !== null) {
    if (line.endsWith("}")) Text.keep(result, line.slice(first[0].length, -1));
    return;
  }
  const last = tail.exec(line.slice(-endLength));
  if (last !== null && line.startsWith("{")) Text.keep(result, line.slice(1, -last[0].length));
}

/** From now on the result is written as it is, not as it came. */
export function forgetText(result: Result): void {
  if (Text.of(result) !== undefined) Text.keep(result, undefined);
}

/** How a kept text begins whose result has members. */
const resultStart = /^"result":\s*\{\s*(?=")/;

/**
 * A successful answer; throws where the result cannot be written. Our id comes last, so that it wins over any that
 * a kept text may hold. `members` are put in front of those of the result, as JSON without braces.
 */
export function resultLine(id: unknown, result: Result, members = ""): string {
  const text = Text.of(result);
  const start = text === undefined || members === "" ? undefined : resultStart.exec(text)?.[0];
  if (text !== undefined && (members === "" || start !== undefined)) {
    const whole = start === undefined ? text : `"result":{${members},${text.slice(start.length)}`;
    return `{"jsonrpc":"2.0",${whole},"id":${JSON.stringify(id)}}`;
  }
  const written = JSON.stringify(result);
  const merged =
    members === ""
      ? written
      : written === "{}"
        ? `{${members}}`
        : `{${members},${written.slice(1)}`;
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${merged}}`;
}

/** Whether a result is passed on as it came since it would take long to write it anew. */
export const isLarge = (result: Result): boolean => (Text.of(result)?.length ?? 0) >= largeResult;

/** A value as JSON; undefined where it cannot be written: what is nested too deep can be read all the same. */
export function toJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

/** An error, without its data where that cannot be written. */
export function errorLine(id: string | number | undefined, error: RpcError): string {
  const { code, message } = error;
  return (
    toJson({ jsonrpc: "2.0", id, error }) ??
    JSON.stringify({ jsonrpc: "2.0", id, error: { code, message } })
  );
}

/** Any message as an object, or undefined where the text is no JSON object or array of them. */
export function parseMessages(line: string): JsonObject[] | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (Array.isArray(parsed)) return parsed.filter(isObject);
  return isObject(parsed) ? [parsed] : undefined;
}

/** Whether a value is a JSON object, and no list. */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
