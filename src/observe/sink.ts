import { createWriteStream, type WriteStream } from "node:fs";
import type { Writable } from "node:stream";
import { messageOf } from "../errors.ts";

/** Where log lines go. */
export interface Sink {
  /** Takes one line, without its end. Never throws, never waits. */
  write(line: string): void;
  /** Resolves when all lines are written. */
  close(): Promise<void>;
}

/** Characters that may wait for a slow disk, or for who reads stderr; beyond, lines are dropped and counted. */
const mostWaiting = 16 * 1024 * 1024;

/** Writes lines to stderr. Not every host reads it; how many lines were dropped is told where it reads on. */
export function stderrSink(stream: Writable = process.stderr): Sink {
  let dropped = 0;
  return {
    write(line) {
      if (stream.writableLength > mostWaiting) return void dropped++;
      const missing =
        dropped === 0 ? "" : `holdfast: stderr was not read: ${dropped} lines were dropped\n`;
      dropped = 0;
      stream.write(`${missing}${line}\n`);
    },
    close: () => Promise.resolve(),
  };
}

/** Appends lines to a file (mode 600). What the disk refuses is told once to `onProblem`; the gateway goes on. */
export function fileSink(path: string, onProblem: (problem: string) => void): Sink {
  let stream: WriteStream | undefined = createWriteStream(path, { flags: "a", mode: 0o600 });
  let pending = "";
  let dropped = 0;
  stream.on("error", (error) => {
    stream = undefined;
    onProblem(`the log file ${path} cannot be written: ${messageOf(error)}`);
  });
  const flush = (): void => {
    const text = pending;
    pending = "";
    stream?.write(text);
  };
  return {
    write(line) {
      if (stream === undefined) return;
      if (stream.writableLength > mostWaiting) {
        if (dropped++ === 0)
          onProblem(`the log file ${path} is written too slowly: lines are dropped`);
        return;
      }
      if (pending === "") setImmediate(flush);
      pending += `${line}\n`;
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
