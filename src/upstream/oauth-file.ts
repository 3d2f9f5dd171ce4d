import { createHash, randomUUID } from "node:crypto";
import { link, mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type {
  OAuthDiscoveryState,
  StoredOAuthClientInformation,
  StoredOAuthTokens,
} from "@modelcontextprotocol/client";
import * as z from "zod";
import { messageOf } from "../errors.ts";
import { sleep } from "../time.ts";

/** Milliseconds after which a lock is taken for left behind: more than a request to an authorization server may take. */
const lockLife = 15_000;
const lockTick = 50;

/** The client as the authorization server knows it. */
export type OAuthClient = StoredOAuthClientInformation & {
  readonly issuer: string;
  readonly redirect_uris?: readonly string[];
};

/** What is kept of a server that asks for authorisation. All of it is secret. */
export interface Authorisation {
  /** For people who look into the folder. */
  readonly server: string;
  readonly client?: OAuthClient | undefined;
  readonly tokens?: StoredOAuthTokens | undefined;
  /** Milliseconds since 1970: from `renewAt` on the token is renewed ahead of its end at `expiresAt`. */
  readonly renewAt?: number | undefined;
  readonly expiresAt?: number | undefined;
  /** What was found out about the authorization server. */
  readonly discovery?: OAuthDiscoveryState | undefined;
  /** What the tokens are for, as the server names itself. */
  readonly resource?: string | undefined;
  readonly wanted?: Wanted | undefined;
}

/** What a server asked for when it refused a request. */
export interface Wanted {
  /** All that is to be asked for, separated by spaces. */
  readonly scope?: string;
  readonly resourceMetadataUrl?: string;
  /** Whether it took the token, and only wants more scopes. */
  readonly more: boolean;
}

const text = z.string();
const schema = z.looseObject({
  server: text,
  client: z.looseObject({ client_id: text, issuer: text }).optional(),
  tokens: z
    .looseObject({
      access_token: text,
      refresh_token: text.optional(),
      scope: text.optional(),
    })
    .optional(),
  renewAt: z.number().optional(),
  expiresAt: z.number().optional(),
  discovery: z.looseObject({ authorizationServerUrl: text }).optional(),
  resource: text.optional(),
  wanted: z
    .object({
      scope: text.optional(),
      resourceMetadataUrl: z.url().optional(),
      more: z.boolean(),
    })
    .optional(),
});

/** The authorisation for one server on disk, which several gateways share. */
export class OAuthFile {
  readonly #server: string;
  readonly #folder: string;
  readonly #file: string;

  /** `folder` is made when first needed (mode 700). Another `url` or `client` (its id in config) is another file. */
  constructor(folder: string, url: string, client: string | undefined) {
    const key = createHash("sha256").update(JSON.stringify([url, client ?? null]));
    const { origin, pathname } = new URL(url);
    this.#server = `${origin}${pathname}`;
    this.#folder = folder;
    this.#file = join(folder, `${key.digest("hex")}.json`);
  }

  /** What was kept; nothing where there is no file, or none that can be read. */
  async read(): Promise<Authorisation> {
    try {
      const kept: unknown = JSON.parse(await readFile(this.#file, "utf8"));
      return schema.parse(kept) as unknown as Authorisation;
    } catch {
      return { server: this.#server };
    }
  }

  /**
   * Puts what `change` makes of what is kept in its place, while no other process does. Resolves with it.
   * Rejects where `change` does, or where it cannot be written.
   */
  async update(
    change: (kept: Authorisation) => Authorisation | Promise<Authorisation>,
  ): Promise<Authorisation> {
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw this.#unwritable(error);
    }
    const unlock = await this.#lock();
    try {
      const kept = await this.read();
      const next = await change(kept);
      if (next !== kept) await this.#replace(next);
      return next;
    } finally {
      await unlock();
    }
  }

  /** Forgets all; resolves with whether there were tokens, or a client. */
  async forget(): Promise<boolean> {
    const { tokens, client, wanted } = await this.read();
    if (tokens === undefined && client === undefined && wanted === undefined) return false;
    const unlock = await this.#lock();
    try {
      await rm(this.#file, { force: true });
    } finally {
      await unlock();
    }
    return tokens !== undefined || client !== undefined;
  }

  async #replace(kept: Authorisation): Promise<void> {
    const temporary = `${this.#file}.${randomUUID()}.tmp`;
    try {
      await writeFile(temporary, JSON.stringify(kept), { mode: 0o600 });
      await rename(temporary, this.#file);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw this.#unwritable(error);
    }
  }

  /** Resolves with what gives the lock back. One that a dead process has left is taken over. */
  async #lock(): Promise<() => Promise<void>> {
    const lock = `${this.#file}.lock`;
    /* oxlint-disable no-await-in-loop -- it waits for its turn */
    for (;;) {
      try {
        await (await open(lock, "wx", 0o600)).close();
        return () => rm(lock, { force: true });
      } catch (error) {
        if (!isTaken(error)) throw this.#unwritable(error);
      }
      if (await isLeftBehind(lock)) await takeAway(lock);
      else await sleep(lockTick);
    }
    /* oxlint-enable no-await-in-loop */
  }

  #unwritable(error: unknown): Error {
    return new Error(`${this.#folder} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

/** Where the clock was set back, a lock may seem to be from days to come. */
const isLeftBehind = (lock: string): Promise<boolean> =>
  stat(lock).then(
    ({ mtimeMs }) => Math.abs(Date.now() - mtimeMs) > lockLife,
    () => false,
  );

/** Takes away a lock that was left behind. Where another process has done so, and locked, its lock is put back. */
async function takeAway(lock: string): Promise<void> {
  const aside = `${lock}.${randomUUID()}`;
  try {
    await rename(lock, aside);
  } catch {
    return; // another was faster
  }
  if (!(await isLeftBehind(aside))) await link(aside, lock).catch(() => {});
  await rm(aside, { force: true });
}

const isTaken = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "EEXIST";
