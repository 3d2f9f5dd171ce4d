import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import type { Lists } from "../call.ts";
import { messageOf } from "../errors.ts";
import { toJson } from "../wire.ts";
import type { ServerInfo } from "./connection.ts";

/** What is known of a server from when it was last connected. */
export interface Manifest {
  readonly info: ServerInfo;
  readonly lists: Lists;
  /** Whether it asks its client for things, and does not show for which call. */
  readonly asks?: boolean;
}

/** Characters; what is larger is not kept. */
const largest = 64 * 1024 * 1024;

const items = z.array(z.looseObject({}));
const schema = z.object({
  info: z.object({
    name: z.string(),
    version: z.string(),
    protocolVersion: z.string(),
    capabilities: z.looseObject({}),
    instructions: z.string().exactOptional(),
    isModernToo: z.boolean().exactOptional(),
  }),
  lists: z.object({
    tools: z.array(z.looseObject({ name: z.string() })),
    prompts: items,
    resources: items,
    resourceTemplates: items,
  }),
  asks: z.boolean().exactOptional(),
});

/** The manifest of one server on disk, keyed by how it is reached: another command or url is another server. */
export class ManifestFile {
  readonly #file: string;
  readonly #folder: string;
  readonly #onProblem: (problem: string) => void;
  #written: string | undefined;
  #writing: Promise<void> = Promise.resolve();

  /** `folder` is made when first needed (mode 700); `transport` may hold secrets, of which only a hash is kept. */
  constructor(folder: string, transport: unknown, onProblem: (problem: string) => void) {
    const key = createHash("sha256").update(JSON.stringify(transport)).digest("hex");
    this.#folder = folder;
    this.#file = join(folder, `${key}.json`);
    this.#onProblem = onProblem;
  }

  /** What was kept; undefined where nothing was, or nothing that can be read. */
  read(): Manifest | undefined {
    let text: string;
    try {
      text = readFileSync(this.#file, "utf8");
    } catch {
      return undefined;
    }
    try {
      const manifest = schema.parse(JSON.parse(text));
      this.#written = text;
      return manifest;
    } catch (error) {
      this.#onProblem(`the manifest ${this.#file} is left out: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** Keeps a manifest in place of the last; a reader sees the one or the other, whole. Never throws. */
  write(manifest: Manifest): void {
    const text = toJson(manifest);
    if (text === undefined)
      return this.#onProblem("what it lists is nested too deep to be kept for the next start");
    if (text === this.#written || text.length > largest) return;
    this.#written = text;
    this.#writing = this.#writing.then(() => this.#replace(text));
  }

  /** Resolves when all is written. */
  flush(): Promise<void> {
    return this.#writing;
  }

  async #replace(text: string): Promise<void> {
    const temporary = `${this.#file}.${randomUUID()}.tmp`;
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      await writeFile(temporary, text, { mode: 0o600 });
      await rename(temporary, this.#file);
    } catch (error) {
      this.#onProblem(`the manifest ${this.#file} cannot be written: ${messageOf(error)}`);
      await rm(temporary, { force: true }).catch(() => {});
    }
  }
}
