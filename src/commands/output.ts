import type { Writable } from "node:stream";

/** Where a command prints, and how. */
export interface Output {
  /** Writes a line to stdout. */
  readonly line: (text?: string) => void;
  /** Writes a line to stderr, for a person who waits. */
  readonly note: (text: string) => void;
  /** Whether programs read it (`--json`). */
  readonly json: boolean;
}

/** An error that is told to the user in one line, with exit code 2: the command line or config is wrong. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Rows as a table: each column as wide as its widest cell, the last one not padded. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows.reduce<number[]>(
    (widest, row) => row.map((cell, column) => Math.max(cell.length, widest[column] ?? 0)),
    [],
  );
  return rows.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

/** Resolves when all that was written to a stream has been taken, or no longer can be. */
export const flushed = (stream: Writable): Promise<void> =>
  new Promise((resolve) => {
    stream.write("", () => resolve());
  });
