import { createReadStream } from "node:fs";
import { mkdir, open, rename, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { lineReader } from "../wire.ts";
import type { CloudEvent } from "./cloud-event.ts";

const newline = 10;

/** Characters of a line that is read; no event of ours is longer. */
const longestLine = 1024 * 1024;

/**
 * Events in a file (mode 600, in a folder of mode 700 where it has to be made), one a line as JSON. At `maxBytes`
 * it is renamed to FILE.1, in place of what had that name. Several gateways may write the same file.
 */
export class EventFile {
  readonly #path: string;
  readonly #maxBytes: number;
  /** Whether the last line may have no end: another writer's, or one that the disk took half of. */
  #mayBeTorn = true;

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
  }

  /** Rejects where the disk refuses; then some of the events may be there. */
  async append(events: readonly CloudEvent[]): Promise<void> {
    const text = events.map((event) => `${JSON.stringify(event)}\n`).join("");
    const mayBeTorn = this.#mayBeTorn;
    this.#mayBeTorn = true;
    // What has failed may have failed for want of the folder.
    if (mayBeTorn) await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const handle = await this.#open(Buffer.byteLength(text));
    try {
      await handle.appendFile(mayBeTorn && (await isTorn(handle)) ? `\n${text}` : text);
    } finally {
      await handle.close();
    }
    this.#mayBeTorn = false;
  }

  /**
   * Gives every whole line from the oldest on to `take`, less those of a file that was last written before
   * `since` (milliseconds since 1970). `isOver` ends it early. Rejects where a file cannot be read.
   */
  async read(
    since: number,
    take: (line: string | undefined) => void,
    isOver: () => boolean,
  ): Promise<void> {
    for (const path of [`${this.#path}.1`, this.#path]) {
      // oxlint-disable no-await-in-loop -- in order
      const stats = await stat(path).catch(() => undefined);
      if (stats?.isFile() !== true || stats.mtimeMs < since) continue;
      // Where a line is too long, there is one that is none.
      const reader = lineReader(take, () => take(undefined), longestLine);
      for await (const chunk of createReadStream(path)) {
        if (isOver()) return;
        reader(chunk as Buffer);
      }
      // oxlint-enable no-await-in-loop
    }
  }

  /** The file, with room for so many more bytes. */
  async #open(bytes: number): Promise<FileHandle> {
    const handle = await open(this.#path, "a+", 0o600);
    try {
      const { size } = await handle.stat();
      if (size === 0 || size + bytes <= this.#maxBytes) return handle;
      await rename(this.#path, `${this.#path}.1`);
    } catch (error) {
      await handle.close();
      throw error;
    }
    await handle.close();
    return open(this.#path, "a+", 0o600);
  }
}

/** Whether the last line of a file has no end. */
async function isTorn(handle: FileHandle): Promise<boolean> {
  const stats = await handle.stat();
  if (!stats.isFile() || stats.size === 0) return false;
  const { buffer } = await handle.read({ buffer: Buffer.alloc(1), position: stats.size - 1 });
  return buffer[0] !== newline;
}
