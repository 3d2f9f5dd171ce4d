import { maxMessageBytes } from "../wire.ts";

/** What a stream of server-sent events is made of. */
export interface EventHandlers {
  /** An event with data. Its type is `message` where the server gave none. */
  readonly onEvent: (type: string, data: string) => void;
  /** The place to go on from, after the event that carries it. */
  readonly onId?: (id: string) => void;
  /** Milliseconds that the server asks to wait before its stream is opened again. */
  readonly onRetry?: (ms: number) => void;
  /** An event over the limit; nothing of it is kept. */
  readonly onTooLarge: () => void;
}

const lineFeed = 10;
const carriageReturn = "\r";

/**
 * Cuts bytes into server-sent events, as WHATWG's HTML defines them, with lines that end in LF or CR LF.
 * Each byte is copied once at most. `limit` is in bytes, for all lines of one event together.
 */
export function eventReader(
  { onEvent, onId, onRetry, onTooLarge }: EventHandlers,
  limit = maxMessageBytes,
): (chunk: Uint8Array) => void {
  let parts: Buffer[] = [];
  let lineLength = 0;
  let size = 0;
  let type = "";
  let data: string[] = [];
  let id: string | undefined;
  let begun = false;

  const take = (part: Buffer): void => {
    if (part.length === 0) return;
    lineLength += part.length;
    if (size <= limit && size + part.length > limit) {
      parts = [];
      data = [];
      onTooLarge();
    }
    size += part.length;
    // Of an event that is too large only its end is looked for, which is an empty line.
    if (size <= limit || lineLength === 1) parts.push(part);
  };
  const dispatch = (): void => {
    if (id !== undefined) onId?.(id);
    const text = data.length === 1 ? data[0] : data.join("\n");
    if (size <= limit && text !== undefined && text !== "") onEvent(type || "message", text);
    type = "";
    data = [];
    id = undefined;
    size = 0;
  };
  const endLine = (): void => {
    let line = (parts.length === 1 ? parts[0] : Buffer.concat(parts))?.toString("utf8") ?? "";
    const length = lineLength;
    parts = [];
    lineLength = 0;
    if (!begun) line = line.replace(/^\uFEFF/, "");
    begun = true;
    if (line.endsWith(carriageReturn)) line = line.slice(0, -1);
    if (line === "" && length <= 1) dispatch();
    else if (size <= limit) takeField(line);
  };
  const takeField = (line: string): void => {
    const colon = line.indexOf(":");
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") data.push(value);
    else if (name === "event") type = value;
    else if (name === "id" && !value.includes("\0")) id = value;
    else if (name === "retry" && /^\d+$/.test(value)) onRetry?.(Number(value));
  };
  return (bytes) => {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end !== -1; end = chunk.indexOf(lineFeed, start)) {
      take(chunk.subarray(start, end));
      endLine();
      start = end + 1;
    }
    take(chunk.subarray(start));
  };
}
