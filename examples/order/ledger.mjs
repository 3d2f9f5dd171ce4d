// What a server has done, in the file NAME.jsonl of $LEDGER_DIR: a line for each effect, on disk before the call is
// answered. Several processes may share the file; of two lines that contradict each other the first one counts.
//
// Faults for tests, in the environment of a server:
//   HONOUR_KEYS=1              an effect of a known idempotency key is not done again: the first answer is given
//   CRASH_AFTER_EFFECT=N[,N…]  the process ends right after the Nth effect in the file, before it answers
//   DELAY_MS=N                 milliseconds before an effect, which then happens even if the caller has gone
//   DELAY_AFTER_MS=N           milliseconds after an effect, before it is answered
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { appendFileSync, fstatSync, fsyncSync, mkdirSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

const { env } = process;
const crashAfter = (env["CRASH_AFTER_EFFECT"] ?? "").split(",").map(Number);
const pause = (ms) => ms > 0 && new Promise((resolve) => setTimeout(resolve, ms));

/** A server may not or will not do what it is asked to; nothing was done. */
export class Refused extends Error {}

export class Ledger {
  #file;
  #rules;
  #end = 0;
  #torn = false;
  #effects = 0;
  #byKey = new Map();

  /**
   * `rules` are functions by tool. Each takes an entry and gives a function that brings it into the state, or
   * undefined where the state is so already; it throws Refused where that may not be.
   */
  constructor(name, rules) {
    const folder = env["LEDGER_DIR"] ?? "ledger";
    mkdirSync(folder, { recursive: true });
    this.#file = openSync(join(folder, `${name}.jsonl`), "a+");
    this.#rules = rules;
    this.read();
  }

  /** Takes in what any process has appended since the last time. Answers what became of the entry `id`. */
  read(id) {
    const chunk = Buffer.alloc(fstatSync(this.#file).size - this.#end);
    const length = readSync(this.#file, chunk, 0, chunk.length, this.#end);
    const complete = chunk.subarray(0, length).lastIndexOf("\n") + 1;
    this.#end += complete;
    this.#torn = complete < length;
    const entries = chunk.toString("utf8", 0, complete).split("\n").flatMap(parsed);
    const outcomes = entries.map((entry) => ({ id: entry.id, ...this.#take(entry) }));
    return outcomes.find((outcome) => outcome.id === id);
  }

  /** The first effect of the tool that has this idempotency key. */
  byKey(tool, key) {
    return this.#byKey.get(JSON.stringify([tool, key]));
  }

  /**
   * Has `tool` do something and answers its entry, whose id is that of what was made. Throws Refused. `consent` is
   * asked before something new is done.
   */
  async perform(tool, given, { _meta }, consent = () => {}) {
    await pause(Number(env["DELAY_MS"] ?? 0));
    this.read();
    const entry = {
      id: randomUUID(),
      time: new Date().toISOString(),
      tool,
      arguments: given,
      idempotencyKey: _meta?.["holdfast/idempotency-key"],
    };
    const first = this.#firstOf(entry);
    if (first !== undefined) return first;
    if (this.#rules[tool](entry) === undefined) return entry;
    consent();
    // What a killed process has left half written gets a line of its own, which nobody can read.
    appendFileSync(this.#file, `${this.#torn ? "\n" : ""}${JSON.stringify(entry)}\n`);
    fsyncSync(this.#file);
    const outcome = this.read(entry.id);
    if (crashAfter.includes(outcome.effect)) process.exit(1);
    await pause(Number(env["DELAY_AFTER_MS"] ?? 0));
    if (outcome.refusal !== undefined) throw outcome.refusal;
    return outcome.entry;
  }

  /** Brings an entry into the state, unless one that stands before it speaks against that. */
  #take(entry) {
    const first = this.#firstOf(entry);
    if (first !== undefined) return { entry: first };
    try {
      const apply = this.#rules[entry.tool](entry);
      if (apply === undefined) return { entry };
      apply();
    } catch (error) {
      if (error instanceof Refused) return { refusal: error };
      throw error;
    }
    for (const key of keysOf(entry)) {
      const place = JSON.stringify([entry.tool, key]);
      if (!this.#byKey.has(place)) this.#byKey.set(place, entry);
    }
    this.#effects += 1;
    return { entry, effect: this.#effects };
  }

  #firstOf(entry) {
    if (env["HONOUR_KEYS"] !== "1") return undefined;
    return keysOf(entry)
      .map((key) => this.byKey(entry.tool, key))
      .find(Boolean);
  }
}

/** As the arguments tell it, and as the gateway tells it beside them. */
const keysOf = (entry) => [entry.arguments.key, entry.idempotencyKey].filter(Boolean);

function parsed(line) {
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
}
