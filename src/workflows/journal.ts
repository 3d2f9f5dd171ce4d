/*
 * What one run has done so far: the effects it was about to have, and what became of them.
 */
import type { Effect as ToolEffect, JsonObject } from "../call.ts";
import type { Outcome } from "../errors.ts";
import { isObject } from "../wire.ts";
import type { StepRetry } from "./definition.ts";
import { after } from "../time.ts";
import type { Concluded, JournalEntry } from "./run-store.ts";
import type { StepError } from "./step-error.ts";

/** A call that is about to be made. */
export interface Intent {
  readonly tool: string;
  readonly arguments: JsonObject;
  /** The same for every attempt at this effect. */
  readonly key: string;
  /** What the tool does, as far as that was known. */
  readonly effect: ToolEffect;
}

/** How a step is undone, with the arguments that it takes. */
export interface Undo {
  readonly tool: string;
  readonly arguments: JsonObject;
  readonly retry: StepRetry;
  readonly timeoutMs?: number;
  /** Why the arguments could not be made. */
  readonly problem?: string;
}

/** What a call came to. */
export interface Conclusion {
  /** Counts what this run has concluded: the order in which things ended. */
  readonly seq: number;
  /** `ok` and `done` say that it happened; of `done` the answer was lost. */
  readonly outcome: "ok" | Outcome;
  readonly value?: unknown;
  readonly error?: StepError;
  readonly undo?: Undo;
  /** Not known whether it happened, and undone as if it had. */
  readonly assumed?: boolean;
  /** Who settled it: a person, not the gateway. */
  readonly settledBy?: "person";
}

/** The last that is known of one call. */
export interface Effect {
  readonly path: string;
  readonly intent: Intent;
  readonly conclusion?: Conclusion;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly endedAt?: number;
}

/** Writes, and resolves when what was written is safe. */
export interface Writer {
  readonly intend: (
    name: string,
    intent: JsonObject,
    concluded: readonly Concluded[],
  ) => Promise<string>;
  readonly conclude: (concluded: readonly Concluded[]) => Promise<void>;
}

/** What is written beside calls: decisions, under names that no step's path can be. */
export type Note = "note:undo" | "note:cancel" | "note:accept" | `note:resolve:${string}`;

export const undoPath = (path: string): string => `undo:${path}`;
export const isUndoPath = (path: string): boolean => path.startsWith("undo:");

/**
 * The journal of one run, in memory and, where it has a writer, on disk. What a call came to is written with
 * the intent of the next one, before that is made; a failure, and where none follows at once, by itself.
 */
export class Journal {
  readonly #writer: Writer | undefined;
  readonly #effects = new Map<string, Effect>();
  readonly #notes = new Map<string, JsonObject>();
  #seq = 0;
  /** What is not written yet. */
  #concluded: Concluded[] = [];
  #flushing: Promise<void> = Promise.resolve();
  #broken: { readonly error: unknown } | undefined;

  constructor(entries: readonly JournalEntry[], writer?: Writer) {
    this.#writer = writer;
    for (const entry of entries) this.#take(entry);
  }

  /** In the order in which they were begun. */
  get effects(): readonly Effect[] {
    return [...this.#effects.values()];
  }

  of(path: string): Effect | undefined {
    return this.#effects.get(path);
  }

  note(name: Note): JsonObject | undefined {
    return this.#notes.get(name);
  }

  async writeNote(name: Note, about: JsonObject): Promise<void> {
    const writer = this.#writer;
    if (writer !== undefined)
      await this.write((concluded) => writer.intend(name, about, concluded));
    this.#notes.set(name, about);
  }

  /** Answers how to write what the call came to. */
  async intend(
    path: string,
    intent: Intent,
  ): Promise<(conclusion: Omit<Conclusion, "seq">) => Promise<Conclusion>> {
    const writer = this.#writer;
    const entry =
      writer && (await this.write((concluded) => writer.intend(path, { ...intent }, concluded)));
    const begun: Effect = { path, intent, at: Date.now() };
    // What is tried anew counts from its last begin.
    this.#effects.delete(path);
    this.#effects.set(path, begun);
    return async (conclusion) => {
      const whole: Conclusion = { seq: ++this.#seq, ...conclusion };
      if (entry !== undefined) this.#conclude({ entry, result: { ...whole } });
      this.#effects.set(path, { ...begun, conclusion: whole, endedAt: Date.now() });
      // After a failure no other intent may come for long.
      if (whole.outcome !== "ok" && whole.outcome !== "done") await this.#written();
      return whole;
    };
  }

  /**
   * Writes something together with what calls came to and is not written yet. Where that fails, what calls came
   * to is written first, for as long as the writer tries. Rejects as `work` or the writer does.
   */
  async write<T>(work: (concluded: readonly Concluded[]) => Promise<T>): Promise<T> {
    await this.#flushing;
    const concluded = this.#concluded.splice(0);
    try {
      if (this.#broken === undefined) return await work(concluded);
    } catch (error) {
      if (concluded.length === 0) throw error;
      this.#concluded.unshift(...concluded);
    }
    await this.#written();
    return work([]);
  }

  async #written(): Promise<void> {
    await this.settled();
    if (this.#broken !== undefined) throw this.#broken.error;
  }

  /** Resolves when all that calls came to is written, or cannot be. */
  async settled(): Promise<void> {
    await this.#flushing;
    await this.#flush();
  }

  #conclude(concluded: Concluded): void {
    this.#concluded.push(concluded);
    if (this.#concluded.length === 1) after(0, () => void this.#flush());
  }

  #flush(): Promise<void> {
    const concluded = this.#concluded.splice(0);
    if (concluded.length > 0)
      this.#flushing = this.#flushing.then(async () => {
        try {
          await this.#writer?.conclude(concluded);
        } catch (error) {
          this.#broken ??= { error };
        }
      });
    return this.#flushing;
  }

  #take({ name, intent, result, at, endedAt }: JournalEntry): void {
    if (name.startsWith("note:")) {
      this.#notes.set(name, intent);
      return;
    }
    const conclusion = isConclusion(result) ? result : undefined;
    this.#seq = Math.max(this.#seq, conclusion?.seq ?? 0);
    this.#effects.delete(name);
    this.#effects.set(name, {
      path: name,
      intent: intent as unknown as Intent,
      at,
      ...(conclusion !== undefined && { conclusion }),
      ...(endedAt !== undefined && { endedAt }),
    });
  }
}

const isConclusion = (result: JsonObject | undefined): result is JsonObject & Conclusion =>
  isObject(result) && typeof result["seq"] === "number" && typeof result["outcome"] === "string";

/** Whether a call has had its effect, as far as is known. */
export const happened = ({ conclusion }: Effect): boolean =>
  conclusion?.outcome === "ok" || conclusion?.outcome === "done";

/** What is to be undone still, the last first. */
export const toUndo = (journal: Journal): Effect[] =>
  journal.effects
    .filter(
      (effect) =>
        !isUndoPath(effect.path) &&
        effect.conclusion?.undo !== undefined &&
        (happened(effect) || effect.conclusion.assumed === true) &&
        !isUndone(journal, effect),
    )
    .toSorted((a, b) => (b.conclusion?.seq ?? 0) - (a.conclusion?.seq ?? 0));

const isUndone = (journal: Journal, { path }: Effect): boolean => {
  const undone = journal.of(undoPath(path));
  return undone !== undefined && happened(undone);
};
