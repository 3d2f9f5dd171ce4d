import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { appendFile, mkdir, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { LRUCache } from "lru-cache";
import * as z from "zod";
import { messageOf } from "./errors.ts";
import { after, type Timer } from "./time.ts";

/** Milliseconds after which spending is on disk. */
const saveAfter = 1000;
/** Sessions whose spending is remembered; that of the one that paid longest ago is forgotten first. */
const mostSessions = 10_000;

const dayMs = 86_400_000;
const newline = 10;

const entrySchema = z.object({
  by: z.string(),
  spent: z.array(z.tuple([z.string(), z.string(), z.number()])),
});

/** What was spent of something, in US dollars. */
export class Amount {
  usd = 0;
  /** How much of it is not on disk yet. */
  unsaved = 0;
  /** The threshold whose crossing was told last. */
  toldUsd: number | undefined;
  readonly #changed: (() => void) | undefined;

  constructor(changed?: () => void) {
    this.#changed = changed;
  }

  /** Spends; what is less than 0 is given back. */
  add(usd: number): void {
    this.usd += usd;
    this.unsaved += usd;
    this.#changed?.();
  }
}

/** What an account's caller has spent today. */
export interface Spending {
  readonly account: string;
  readonly principal: string;
  readonly usd: number;
}

/**
 * What calls have cost, by account and caller, for today (UTC) and for a session.
 *
 * The day's spending is kept in `YYYY-MM-DD.jsonl` in a folder (700, the file 600), to which every gateway
 * appends what it has spent since its last line. So nothing is ever overwritten, a line that was not written
 * to its end costs no other, and gateways see each other's spending about a second after their own.
 * At most the last second before a kill is lost. Nothing is read before the first call that costs.
 */
export class BudgetLedger {
  readonly #folder: string;
  readonly #onProblem: (problem: string) => void;
  /** Marks the lines that are ours. */
  readonly #id = randomUUID();
  #day = -1;
  #file = "";
  /** Bytes of the file that are counted. */
  #read = 0;
  /** By account and principal. */
  #amounts = new Map<string, Map<string, Amount>>();
  /** By session and account. */
  readonly #sessions = new LRUCache<string, Map<string, Amount>>({ max: mostSessions });
  #timer: Timer | undefined;
  #saving: Promise<void> = Promise.resolve();
  #told = false;

  /** What goes wrong with the disk is told once to `onProblem`; spending is counted all the same. */
  constructor(folder: string, onProblem: (problem: string) => void) {
    this.#folder = folder;
    this.#onProblem = onProblem;
  }

  /** What a principal has spent today. It is another object tomorrow, so it is not to be kept. */
  day(account: string, principal: string): Amount {
    this.#turn();
    return this.#amount(account, principal);
  }

  /** What a session has spent. */
  session(account: string, session: string): Amount {
    let accounts = this.#sessions.get(session);
    if (accounts === undefined) this.#sessions.set(session, (accounts = new Map()));
    let amount = accounts.get(account);
    if (amount === undefined) accounts.set(account, (amount = new Amount()));
    return amount;
  }

  /** All that was spent today. */
  spending(): Spending[] {
    this.#turn();
    return [...this.#entries()].map(([account, principal, { usd }]) => ({
      account,
      principal,
      usd,
    }));
  }

  /** Resolves when all is on disk, or cannot be. Never rejects. */
  close(): Promise<void> {
    this.#timer?.clear();
    this.#timer = undefined;
    return this.#save();
  }

  #amount(account: string, principal: string): Amount {
    let principals = this.#amounts.get(account);
    if (principals === undefined) this.#amounts.set(account, (principals = new Map()));
    let amount = principals.get(principal);
    if (amount === undefined) principals.set(principal, (amount = new Amount(this.#saveSoon)));
    return amount;
  }

  *#entries(): Generator<[account: string, principal: string, amount: Amount]> {
    for (const [account, principals] of this.#amounts)
      for (const [principal, amount] of principals) yield [account, principal, amount];
  }

  /** Begins the day that it is, with what others and earlier runs have spent in it. */
  #turn(): void {
    const day = Math.floor(Date.now() / dayMs);
    if (day === this.#day) return;
    this.#day = day;
    this.#file = join(this.#folder, fileOf(day));
    this.#amounts = new Map();
    this.#read = 0;
    try {
      this.#count(readFileSync(this.#file));
    } catch (error) {
      this.#tell(`${this.#file} cannot be read`, error);
    }
    this.#saving = this.#saving.then(() => removeBefore(this.#folder, fileOf(day)));
  }

  readonly #saveSoon = (): void => {
    this.#timer ??= after(saveAfter, () => {
      this.#timer = undefined;
      void this.#save();
    });
  };

  #save(): Promise<void> {
    this.#saving = this.#saving.then(async () => {
      try {
        await this.#append();
        await this.#readOn();
      } catch (error) {
        this.#tell("spending cannot be kept over restarts", error);
      }
    });
    return this.#saving;
  }

  async #append(): Promise<void> {
    this.#turn();
    const unsaved = [...this.#entries()].flatMap(([account, principal, amount]) =>
      amount.unsaved === 0 ? [] : { account, principal, amount, usd: amount.unsaved },
    );
    if (unsaved.length === 0) return;
    const spent = unsaved.map(({ account, principal, usd }) => [account, principal, usd]);
    // A line of its own, whatever another gateway has left at the end.
    const line = `\n${JSON.stringify({ by: this.#id, spent })}\n`;
    const file = this.#file;
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await appendFile(file, line, { mode: 0o600 });
    for (const { amount, usd } of unsaved) amount.unsaved -= usd;
  }

  /** Counts what others have appended. */
  async #readOn(): Promise<void> {
    const file = this.#file;
    const handle = await open(file).catch(() => undefined);
    if (handle === undefined) return;
    try {
      const { size } = await handle.stat();
      const length = size - this.#read;
      if (length <= 0) return;
      const { buffer, bytesRead } = await handle.read({
        buffer: Buffer.alloc(length),
        position: this.#read,
      });
      if (file === this.#file) this.#count(buffer.subarray(0, bytesRead));
    } finally {
      await handle.close();
    }
  }

  /** Counts the whole lines in what follows the bytes that are counted. */
  #count(bytes: Buffer): void {
    const end = bytes.lastIndexOf(newline) + 1;
    this.#read += end;
    for (const line of bytes.toString("utf8", 0, end).split("\n")) {
      if (line === "") continue;
      try {
        const { by, spent } = entrySchema.parse(JSON.parse(line));
        if (by === this.#id) continue;
        for (const [account, principal, usd] of spent) this.#amount(account, principal).usd += usd;
      } catch {
        this.#tell(`a line of ${this.#file} is left out`, "it is no record of spending");
      }
    }
  }

  #tell(what: string, error: unknown): void {
    if (this.#told || isMissing(error)) return;
    this.#told = true;
    this.#onProblem(`the budget's ledger: ${what}: ${messageOf(error)}`);
  }
}

const fileOf = (day: number): string =>
  `${new Date(day * dayMs).toISOString().slice(0, "YYYY-MM-DD".length)}.jsonl`;

/** Removes the files of earlier days. Never rejects. */
async function removeBefore(folder: string, today: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  const old = names.filter((name) => /^\d{4}-\d\d-\d\d\.jsonl$/.test(name) && name < today);
  await Promise.all(old.map((name) => rm(join(folder, name), { force: true }).catch(() => {})));
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ENOENT";
