/*
 * JSON-RPC messages as lines of text, for both sides of the gateway.
 */
import { isAscii } from "node:buffer";
import type { Writable } from "node:stream";
import type { JsonObject, Result } from "./call.ts";
import type { RpcError } from "./errors.ts";

/** The largest message that is taken from anyone, in bytes. V8's longest string is twice that. */
export const maxMessageBytes = 256 * 1024 * 1024;

/** Results from this many characters on are not written anew for the sake of a member. */
const largeResult = 64 * 1024;

const newline = 10;

/** Bytes at each end of a message in which its id is looked for. */
const endLength = 64;

/**
 * A `data` listener that cuts a stream of bytes into lines. Each byte is copied once at most.
 * Of a line over `limit` bytes only the two ends are kept, which `onTooLong` is told when the line has ended.
 */
export function lineReader(
  onLine: (line: string) => void,
  onTooLong: (start: string, end: string) => void,
  limit = maxMessageBytes,
): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let length = 0;
  let start = "";
  let end = "";
  const take = (part: Buffer): void => {
    if (length <= limit && length + part.length > limit) {
      start = (parts[0] ?? part).toString("latin1", 0, endLength);
      end = "";
      parts = [];
    }
    length += part.length;
    if (length <= limit) parts.push(part);
    else
      end = (end + part.toString("latin1", Math.max(part.length - endLength, 0))).slice(-endLength);
  };
  return (chunk) => {
    let from = 0;
    const encoding = encodingOf(chunk);
    for (let to = chunk.indexOf(newline); to !== -1; to = chunk.indexOf(newline, from)) {
      if (length === 0 && to - from <= limit) {
        if (to > from) onLine(chunk.toString(encoding, from, to));
      } else {
        take(chunk.subarray(from, to));
        const whole = parts;
        const kept = length <= limit;
        parts = [];
        length = 0;
        if (kept) onLine(joined(whole));
        else onTooLong(start, end);
      }
      from = to + 1;
    }
    if (from < chunk.length) take(chunk.subarray(from));
  };
}

/** ASCII is read as Latin-1: on Node 20, UTF-8 takes ten times as long for the same text. */
const encodingOf = (bytes: Buffer): "latin1" | "utf8" => (isAscii(bytes) ? "latin1" : "utf8");

/** The text of bytes in parts, each of which ASCII can be read by itself. */
const joined = (parts: readonly Buffer[]): string =>
  parts.every((part) => isAscii(part))
    ? parts.map((part) => part.toString("latin1")).join("")
    : Buffer.concat(parts).toString("utf8");

/** The id of a message by its two ends, in one of which it is usually written; undefined where it is in none. */
export function idAtEnds(start: string, end: string): string | number | undefined {
  const id =
    /^\{\s*"jsonrpc":\s*"2\.0",\s*"id":\s*(\d+|"[^"\\]*")\s*,/.exec(start)?.[1] ??
    /,\s*"jsonrpc":\s*"2\.0",\s*"id":\s*(\d+|"[^"\\]*")\s*\}$/.exec(end)?.[1];
  return id === undefined ? undefined : (JSON.parse(id) as string | number);
}

/** A line; or a large one in parts, which go out one after the other without being copied into one. */
export type Line = string | readonly string[];

/** A line in one. */
export const textOf = (line: Line): string => (typeof line === "string" ? line : line.join(""));

export const lengthOf = (line: Line): number =>
  typeof line === "string" ? line.length : line.reduce((sum, part) => sum + part.length, 0);

/** Characters that go out in one write at most, unless one line has more. V8's longest string has 512 times as many. */
const mostAtOnce = 1024 * 1024;

/**
 * Writes lines to a stream. The lines of one turn of the event loop go out in one write. While the other side reads
 * too slowly, lines wait here as they came: those that share the text of a large result share it until they are sent.
 */
export class LineWriter {
  readonly #stream: Writable;
  readonly #onPressure: ((slow: boolean) => void) | undefined;
  #lines: Line[] = [];
  #length = 0;
  #slow = false;

  /** `onPressure` is told true when the other side reads too slowly, and false when it has caught up. */
  constructor(stream: Writable, onPressure?: (slow: boolean) => void) {
    this.#stream = stream;
    this.#onPressure = onPressure;
    stream.on("drain", () => {
      this.#slow = false;
      this.#send();
      if (!this.#slow) onPressure?.(false);
    });
  }

  /** How much is not yet taken by the other side: bytes, or characters of what is all ASCII. */
  get waiting(): number {
    return this.#length + this.#stream.writableLength;
  }

  write(line: Line): void {
    if (this.#length === 0 && !this.#slow) process.nextTick(this.#flush);
    this.#lines.push(line);
    this.#length += lengthOf(line) + 1;
  }

  readonly #flush = (): void => {
    this.#send();
    if (this.#slow) this.#onPressure?.(true);
  };

  #send(): void {
    if (!this.#stream.writable) {
      this.#lines = [];
      this.#length = 0;
    }
    while (this.#lines.length > 0 && !this.#slow) this.#slow = !this.#sendNext();
  }

  /** Sends as many lines as go out at once; answers what the stream does. */
  #sendNext(): boolean {
    let text = "";
    let count = 0;
    for (const line of this.#lines) {
      if (typeof line !== "string") break;
      if (count > 0 && text.length + line.length > mostAtOnce) break;
      text += `${line}\n`;
      count++;
    }
    this.#length -= text.length;
    if (count === this.#lines.length) this.#lines = [];
    else if (count > 0) this.#lines.splice(0, count);
    return count > 0 ? this.#stream.write(text) : this.#sendParts();
  }

  #sendParts(): boolean {
    const parts = this.#lines.shift() ?? [];
    this.#length -= lengthOf(parts) + 1;
    this.#stream.cork();
    // Node sets aside three bytes for each character of UTF-8, which the garbage collector takes for in use.
    for (const part of parts)
      this.#stream.write(part, Buffer.byteLength(part) === part.length ? "latin1" : "utf8");
    const isTaken = this.#stream.write("\n");
    this.#stream.uncork();
    return isTaken;
  }
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

/** A successful answer as `resultLine` makes it, but a large one in parts. */
export function answerLine(id: unknown, result: Result): Line {
  const text = Text.of(result);
  if (text === undefined || text.length < largeResult) return resultLine(id, result);
  return [`{"jsonrpc":"2.0",`, text, `,"id":${JSON.stringify(id)}}`];
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
