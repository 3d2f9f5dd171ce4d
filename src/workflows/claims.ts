/*
 * Takes up runs that nobody drives: those that a dead process has left, and those that a person has let go on.
 */
import { messageOf } from "../errors.ts";
import type { ActiveRun } from "./active-run.ts";
import type { Door } from "./call-step.ts";
import { Journal, type Note, type Writer } from "./journal.ts";
import { parseDefinition } from "./parse.ts";
import type { Program } from "./program.ts";
import { LeaseLost, type RunStore, type StoredRun } from "./run-store.ts";
import { mayBePastPivot } from "./saga.ts";

export interface ClaimsOptions {
  readonly store: RunStore;
  readonly door: Door;
  /** Resolves when as many tools are known as can be waited for. */
  readonly listed: () => Promise<void>;
  /** Ends what the servers of dead processes are still doing: nobody could tell whether it will happen. */
  readonly orphansEnded: () => Promise<void>;
  readonly writer: (id: string) => Writer;
  /** Whether there is room for another run beside so many that are being taken up. */
  readonly hasRoom: (coming: number) => boolean;
  /** Whether this process drives a run already. */
  readonly isDriven: (id: string) => boolean;
  readonly drive: (run: StoredRun, program: Program, journal: Journal) => ActiveRun;
  readonly onProblem: (problem: string) => void;
}

/** Milliseconds until a run whose tools are missing, or that could not be taken up, is looked at again. */
const missingTime = 30_000;
const brokenTime = 5000;

export const takenBack = "it was taken back by cancel_run";

export class Claims {
  readonly #options: ClaimsOptions;
  #claiming: Promise<void> | undefined;

  constructor(options: ClaimsOptions) {
    this.#options = options;
  }

  /** Takes all that is due. One at a time, however often it is asked. Rejects with StoreFailed. */
  claim(): Promise<void> {
    this.#claiming ??= this.#claimAll().finally(() => (this.#claiming = undefined));
    return this.#claiming;
  }

  async #claimAll(): Promise<void> {
    const { store, hasRoom, isDriven, orphansEnded } = this.#options;
    await orphansEnded();
    // One whose tools are not there yet keeps no other waiting.
    const taking = new Set<Promise<void>>();
    while (hasRoom(taking.size)) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const run = await store.claim();
      if (run === undefined) break;
      // After a long pause a lease of ours may have run out: it is renewed now.
      if (isDriven(run.id)) continue;
      const take = this.#take(run).finally(() => taking.delete(take));
      taking.add(take);
    }
    await Promise.all(taking);
  }

  async #take(run: StoredRun): Promise<void> {
    const { id } = run;
    const { store, writer, drive, onProblem } = this.#options;
    try {
      const command = await store.takeCommand(id);
      const { program, problems } = parseDefinition(run.definition, run.kind);
      const journal = new Journal(await store.journal(id), writer(id));
      if (command?.["type"] === "resume") await journal.writeNote("note:accept", {});
      if (command?.["type"] === "resolve") {
        const { step, happened, result } = command;
        const name = `note:resolve:${String(step)}` satisfies Note;
        const at = journal.of(String(step))?.at ?? 0;
        await journal.writeNote(name, { happened, result, at });
      }
      const missing =
        program === undefined || problems.length > 0
          ? ["its definition is not understood by this version"]
          : await this.#missing(run, journal.note("note:accept") !== undefined);
      if (program === undefined || missing.length > 0) {
        await store.park(id, { reason: "missing", open: [], missing }, missingTime);
        return;
      }
      if (command?.["type"] === "cancel" && !mayBePastPivot(program, journal))
        await journal.writeNote("note:cancel", { reason: takenBack });
      if (run.state === "stuck")
        await store.mark(id, journal.note("note:undo") === undefined ? "running" : "compensating");
      drive(run, program, journal);
    } catch (error) {
      if (error instanceof LeaseLost) return;
      onProblem(`run ${id} is left as it is: ${messageOf(error)}`);
      await store.release(id, brokenTime).catch(() => {});
    }
  }

  /** What a run needs and is not there, or is not what it was. */
  async #missing({ tools }: StoredRun, accepts: boolean): Promise<string[]> {
    const { door, listed } = this.#options;
    const look = (): string[] =>
      Object.entries(tools).flatMap(([name, identity]) => {
        const tool = door.find(name);
        if (tool === undefined || "refused" in tool) return [`the tool ${name} is not there`];
        if (accepts || door.identity(tool) === identity) return [];
        return [
          `the tool ${name} is of another server now, or of one that is run otherwise; resume_run takes it as it is`,
        ];
      });
    const missing = look();
    if (missing.length === 0) return missing;
    await listed();
    return look();
  }
}
