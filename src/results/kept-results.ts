import { createHash, randomBytes } from "node:crypto";
import { mkdir, open, readdir, rm, stat, writeFile, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Caller, JsonObject } from "../call.ts";

/** A text that was kept. */
export interface Kept {
  readonly id: string;
  readonly uri: string;
  readonly bytes: number;
  readonly pages: number;
  readonly pageBytes: number;
  /** The text of page 1. */
  readonly first: string;
}

/** One page of a kept text; the first is page 1. */
export interface Page {
  readonly id: string;
  readonly page: number;
  readonly pages: number;
  readonly text: string;
}

export interface KeptResultsOptions {
  /** Made when first needed (mode 700). */
  readonly folder: string;
  /** Milliseconds after which a text cannot be read any more. Default a day. */
  readonly maxAgeMs?: number;
  /** Bytes that all texts may take together; the oldest go first. Default 1 GiB. */
  readonly maxBytes?: number;
}

const scheme = "holdfast://results/";
const idPattern = /^[\w-]{24}$/;

/** A file begins with the size of its pages, in a line of so many bytes. */
const headBytes = 16;

/** No character takes more bytes. */
const longestCharacter = 4;

/** Milliseconds after which the folder is looked through again for what is too old. */
const lookAgainAfter = 60_000;

/**
 * Texts on disk, each for one caller alone: a file (mode 600) by an id that cannot be guessed and a hash of the
 * caller's principal and session. Several gateways may share the folder.
 */
export class KeptResults {
  readonly #folder: string;
  readonly #maxAgeMs: number;
  readonly #maxBytes: number;
  /** Bytes in the folder, as far as it is known, and those that are being written. */
  #bytes = 0;
  #coming = 0;
  #lookedAt = -Infinity;

  constructor({ folder, maxAgeMs = 24 * 3_600_000, maxBytes = 1024 ** 3 }: KeptResultsOptions) {
    this.#folder = folder;
    this.#maxAgeMs = maxAgeMs;
    this.#maxBytes = maxBytes;
  }

  /** Keeps a text for a caller. Rejects where the disk refuses, or where it is larger than all may be together. */
  async keep(text: string, caller: Caller, pageBytes: number): Promise<Kept> {
    const body = Buffer.from(text);
    const size = Math.max(pageBytes, longestCharacter);
    const total = headBytes + body.length;
    if (total > this.#maxBytes)
      throw new Error(`${body.length} bytes do not fit in a store of ${this.#maxBytes}`);
    this.#coming += total;
    if (this.#bytes + this.#coming > this.#maxBytes || Date.now() - this.#lookedAt > lookAgainAfter)
      await this.sweep();
    const id = randomBytes(18).toString("base64url");
    const file = this.#file(id, caller);
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      const head = `${size}`.padEnd(headBytes - 1);
      await writeFile(file, [head, "\n", body], { mode: 0o600, flag: "wx" });
      this.#bytes += total;
    } catch (error) {
      await rm(file, { force: true }).catch(() => {});
      throw error;
    } finally {
      this.#coming -= total;
    }
    const bytes = body.length;
    const first = body.toString("utf8", 0, startOfCharacter(body, Math.min(size, bytes)));
    return { id, uri: scheme + id, bytes, pages: pagesOf(bytes, size), pageBytes: size, first };
  }

  /** A page of what was kept for this caller; without a text where there is no such page, undefined where nothing was kept. */
  page(id: string, page: number, caller: Caller): Promise<Page | Omit<Page, "text"> | undefined> {
    return this.#with(id, caller, async (handle, bytes) => {
      const pageBytes = Number((await slice(handle, 0, headBytes)).toString());
      const pages = pagesOf(bytes, pageBytes);
      if (page > pages) return { id, page, pages };
      // The characters at both ends may begin before the page does.
      const from = (page - 1) * pageBytes;
      const before = Math.min(from, longestCharacter - 1);
      const length = Math.min(pageBytes + before + 1, bytes - from + before);
      const body = await slice(handle, headBytes + from - before, length);
      const start = startOfCharacter(body, before);
      const end = startOfCharacter(body, Math.min(before + pageBytes, body.length));
      return { id, page, pages, text: body.toString("utf8", start, end) };
    });
  }

  /** The result of `resources/read` for a whole text; undefined where the URI is none that was kept for this caller. */
  async read(uri: string, caller: Caller): Promise<JsonObject | undefined> {
    if (!uri.startsWith(scheme)) return undefined;
    const text = await this.#with(uri.slice(scheme.length), caller, async (handle, bytes) =>
      (await slice(handle, headBytes, bytes)).toString(),
    );
    return text === undefined ? undefined : { contents: [{ uri, mimeType: "text/plain", text }] };
  }

  /** Removes what is too old, and the oldest of what is too much. Never rejects. */
  async sweep(): Promise<void> {
    this.#lookedAt = Date.now();
    const names = await readdir(this.#folder).catch((): string[] => []);
    const found = await Promise.all(
      names.map(async (name) => {
        const file = join(this.#folder, name);
        const stats = await stat(file).catch(() => undefined);
        return { file, size: stats?.size ?? 0, written: stats?.mtimeMs ?? 0 };
      }),
    );
    let bytes = found.reduce((sum, { size }) => sum + size, 0);
    const gone: Promise<void>[] = [];
    for (const { file, size, written } of found.toSorted((a, b) => a.written - b.written)) {
      if (!this.#isOld(written) && bytes + this.#coming <= this.#maxBytes) break;
      bytes -= size;
      gone.push(rm(file, { force: true }).catch(() => {}));
    }
    this.#bytes = bytes;
    await Promise.all(gone);
  }

  /** Another caller's hash leads to no file. */
  #file(id: string, { principal, session }: Caller): string {
    const caller = createHash("sha256").update(JSON.stringify([principal, session]));
    return join(this.#folder, `${id}.${caller.digest("hex")}`);
  }

  async #with<Answer>(
    id: string,
    caller: Caller,
    use: (handle: FileHandle, bytes: number) => Promise<Answer>,
  ): Promise<Answer | undefined> {
    if (!idPattern.test(id)) return undefined;
    const handle = await open(this.#file(id, caller)).catch(() => undefined);
    if (handle === undefined) return undefined;
    try {
      const { size, mtimeMs } = await handle.stat();
      return this.#isOld(mtimeMs) ? undefined : await use(handle, size - headBytes);
    } finally {
      await handle.close();
    }
  }

  #isOld(written: number): boolean {
    return Date.now() - written > this.#maxAgeMs;
  }
}

const pagesOf = (bytes: number, pageBytes: number): number => Math.ceil(bytes / pageBytes);

async function slice(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(length), position });
  return buffer.subarray(0, bytesRead);
}

/** The place at or before `at` where a character of UTF-8 begins, or the text ends. */
function startOfCharacter(text: Buffer, at: number): number {
  let start = at;
  while (start > 0 && start < text.length && (text[start]! & 0xc0) === 0x80) start--;
  return start;
}
