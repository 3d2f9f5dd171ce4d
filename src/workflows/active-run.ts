/*
 * One run that this process drives: its state, and who listens to its progress.
 */
import type { Caller, JsonObject, Progress } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { cancelled } from "../errors.ts";
import type { Report, RunInfo } from "../events.ts";
import { now, settlesWithin } from "../time.ts";
import { orCancelled } from "../wait.ts";
import type { Journal } from "./journal.ts";
import { allNodes, type Program } from "./program.ts";
import { refusal } from "./refusal.ts";
import type { RunState } from "./run-store.ts";
import { mayBePastPivot, type StepPhase } from "./saga.ts";
import type { StepError } from "./step-error.ts";
import { viewOf, type RunHead } from "./view.ts";

/** A run's head, and whose it is. */
export type OwnedHead = RunHead & { readonly caller: Caller };

/** How long a caller waits, and what it wants to hear meanwhile. */
export interface Wait {
  /** Milliseconds; then the run goes on alone. */
  readonly waitMs: number;
  readonly signal: Cancel;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export class ActiveRun {
  readonly program: Program;
  readonly journal: Journal;
  /** Cancelled where the run is taken back. */
  readonly cancel = new Cancel();
  /** Resolves when this process is done with the run. */
  ended: Promise<void> = Promise.resolve();
  readonly #head: OwnedHead;
  readonly #report: Report;
  readonly #begun = now();
  readonly #listeners = new Set<(progress: Progress) => void>();
  /** Calls, as far as can be told before lists are known. */
  #total: number;
  #done = 0;
  /** Since the last step was done. */
  #started = 0;
  #state: RunState = "running";
  #outcome: JsonObject | undefined;
  #endedAt: number | undefined;

  constructor(head: OwnedHead, program: Program, journal: Journal, report: Report) {
    this.#head = head;
    this.program = program;
    this.journal = journal;
    this.#report = report;
    this.#total = allNodes(program.steps).filter(({ body }) => body.kind === "tool").length;
    report({ type: "run.started", run: this.#info });
  }

  get caller(): Caller {
    return this.#head.caller;
  }

  get isSaga(): boolean {
    return this.#head.kind === "saga";
  }

  /** As it stands now. */
  get head(): RunHead {
    const { id, name, kind, version, startedAt, trace } = this.#head;
    return {
      id,
      name,
      kind,
      version,
      startedAt,
      trace,
      state: this.#state,
      ...(this.#outcome !== undefined && { outcome: this.#outcome }),
      ...(this.#endedAt !== undefined && { endedAt: this.#endedAt }),
    };
  }

  get view(): JsonObject {
    return viewOf(this.head, this.journal);
  }

  /** From now on it is undone. */
  compensating(): void {
    this.#state = "compensating";
  }

  /** Something happened to a step. */
  readonly told = (step: string, tool: string, phase: StepPhase, error?: StepError): void => {
    const why = error !== undefined && { error: error.message };
    this.#report({ type: "run.step", run: this.#info, step, tool, phase, ...why });
    if (phase === "started") this.#started++;
    else {
      this.#started = 0;
      this.#done++;
    }
    const number = this.#done + this.#started;
    this.#total = Math.max(this.#total, number);
    const total = this.#total;
    const isUndo = phase === "undone" || phase === "undo_failed";
    const count = isUndo ? "" : `, step ${number} of ${total}`;
    const message = `${step} ${phase.replace("_", " ")}: ${tool}${count}`;
    // A note that is no greater than the one before is not passed on.
    const progress = this.#done + this.#started / (this.#started + 1);
    for (const listener of this.#listeners) listener({ progress, total, message });
  };

  /** It has come to its end, or is stuck. */
  end(state: "completed" | "failed" | "compensated" | "stuck", outcome: JsonObject): void {
    this.#state = state;
    this.#outcome = outcome;
    if (state !== "stuck") this.#endedAt = Date.now();
    const { message } = (outcome["cause"] ?? {}) as { message?: string };
    this.#report({
      type: "run.ended",
      run: this.#info,
      state,
      ms: now() - this.#begun,
      ...(message !== undefined && { error: message }),
    });
  }

  /** This process does not go on with it, for a reason. */
  drop(problem: string): void {
    this.#outcome = { problem };
  }

  /** Takes it back. Rejects with a refusal where that is too late. */
  async takeBack(reason: string): Promise<void> {
    if (this.isSaga) {
      if (this.#state !== "running") throw refusal(notCancellable(this.#state));
      const check = (): void => {
        if (mayBePastPivot(this.program, this.journal)) throw refusal(pastPivot);
      };
      check();
      await this.journal.writeNote("note:cancel", { reason });
      check();
    }
    this.cancel.cancel(cancelled(reason));
  }

  /** Resolves when it has ended or the time is over. Rejects with the caller's cancel. */
  async wait({ waitMs, signal, onProgress }: Wait): Promise<void> {
    if (onProgress !== undefined) this.#listeners.add(onProgress);
    try {
      await orCancelled(settlesWithin(this.ended, waitMs), signal);
    } finally {
      if (onProgress !== undefined) this.#listeners.delete(onProgress);
    }
  }

  get #info(): RunInfo {
    const { id, name, kind, caller, trace } = this.#head;
    return { id, name, kind, caller, trace };
  }
}

/** Why a run in that state cannot be taken back. */
export const notCancellable = (state: RunState): string =>
  state === "stuck"
    ? "it is stuck: resume_run tries again, resolve_run says what happened"
    : state === "compensating"
      ? "it is being undone already"
      : `it has ended: it is ${state}`;

export const pastPivot = "it is past its pivot, from where it can only go on";
