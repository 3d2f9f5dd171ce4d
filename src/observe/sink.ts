import { createWriteStream, type WriteStream } from "node:fs";
import { messageOf } from "../errors.ts";
import { after } from "../time.ts";

/** Where log lines go. */
export interface Sink {
  /** Takes one line, without its end. Never throws, never waits. */
  write(line: string): void;
  /** Resolves when all lines are written. */
  close(): Promise<void>;
}

/** Bytes that may wait for a slow disk; beyond, lines are dropped and counted. */
const mostWaiting = 16 * 1024 * 1024;

/** Milliseconds, and bytes, after which lines are handed to the disk: to hand over each costs more than to make it. */
const flushMs = 50;
const blockBytes = 64 * 1024;

export const stderrSink: Sink = {
  write: (line) => void process.stderr.write(`${line}\n`),
  close: () => Promise.resolve(),
};

/**
 * Appends lines to a file (mode 600), at most 50 ms after they came. What the disk refuses is told once to
 * `onProblem`; the gateway goes on.
 */
export function fileSink(path: string, onProblem: (problem: string) => void): Sink {
  let stream: WriteStream | undefined = createWriteStream(path, { flags: "a", mode: 0o600 });
  // Lines that wait as bytes are nothing that the garbage collector has to look at, again and again.
  let block = Buffer.allocUnsafe(blockBytes);
  let used = 0;
  let dropped = 0;
  stream.on("error", (error) => {
    stream = undefined;
    onProblem(`the log file ${path} cannot be written: ${messageOf(error)}`);
  });
  const flush = (): void => {
    if (used === 0) return;
    stream?.write(block.subarray(0, used));
    block = Buffer.allocUnsafe(blockBytes);
    used = 0;
  };
  return {
    write(line) {
      if (stream === undefined) return;
      if (stream.writableLength > mostWaiting) {
        if (dropped++ === 0)
          onProblem(`the log file ${path} is written too slowly: lines are dropped`);
        return;
      }
      const text = `${line}\n`;
      // A character takes three bytes at most.
      if (used + text.length * 3 > blockBytes) flush();
      if (text.length * 3 > blockBytes) return void stream.write(text);
      if (used === 0) after(flushMs, flush);
      used += block.write(text, used);
    },
    close: () =>
      new Promise((resolve) => {
        if (stream === undefined) return resolve();
        flush();
        stream.end(resolve);
        stream.on("error", () => resolve());
      }),
  };
}
