/*
 * All runs of this process: those that it drives, and those that it finds in the store.
 */
import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { LRUCache } from "lru-cache";
import type { Caller, JsonObject } from "../call.ts";
import { asCallError, CallError, cancelled, disconnected, messageOf } from "../errors.ts";
import type { Report } from "../events.ts";
import { every, now, settlesWithin, sleep, type Timer } from "../time.ts";
import { ActiveRun, notCancellable, pastPivot, type OwnedHead, type Wait } from "./active-run.ts";
import type { Door } from "./call-step.ts";
import { runChain } from "./chain-run.ts";
import { Claims, takenBack } from "./claims.ts";
import { Journal, type Writer } from "./journal.ts";
import { parseDefinition } from "./parse.ts";
import { toolsOf, type Program } from "./program.ts";
import { refusal } from "./refusal.ts";
import { LeaseLost, StoreFailed, type RunStore, type StoredRun } from "./run-store.ts";
import type { RunFilter, RunKind } from "./run-store.ts";
import { mayBePastPivot, type SagaEnd } from "./saga.ts";
import { driveSaga } from "./saga-run.ts";
import { Halted, StepFailed, type StepError } from "./step-error.ts";
import { headOf, viewOf } from "./view.ts";

export interface RunsOptions {
  readonly door: Door;
  /** Of sagas. It opens itself when first used. */
  readonly store: RunStore;
  /** Whether there is a store already, so that it is worth opening for a look. */
  readonly storeExists: () => boolean;
  /** Resolves when as many tools are known as can be waited for. */
  readonly listed: () => Promise<void>;
  /** Ends the servers that dead gateways have left behind. */
  readonly orphansEnded: () => Promise<void>;
  readonly report: Report;
  /** Milliseconds for which ended runs are kept, and how many at most. */
  readonly keepMs: number;
  readonly maxRuns: number;
  /** What they may take in all. */
  readonly maxBytes: number;
}

/** A run that is wanted. */
export interface RunRequest {
  readonly kind: RunKind;
  readonly name: string;
  /** As it was written; `program` is what it means. */
  readonly definition: JsonObject;
  readonly version: string;
  readonly program: Program;
  readonly input: JsonObject;
  readonly event: unknown;
  readonly caller: Caller;
  readonly trace: string;
  /** Of one caller, name and key there is one run. */
  readonly key?: string | undefined;
}

/** Runs that one process drives at once. */
const mostActive = 256;
/** Ended chains that are remembered, and the characters of their views. */
const mostChains = 1000;
const chainCharacters = 64 * 1024 * 1024;
/** Milliseconds between looks for runs that nobody drives, for commands to ours, and at runs of others. */
const claimEvery = 5000;
const commandEvery = 1000;
const lookEvery = 250;
const pruneEvery = 3_600_000;
/** Milliseconds that steps under way get when this process leaves. */
const leaveTime = 5000;
/** How often it is tried to write what a call came to, and milliseconds between. */
const writeAttempts = 5;
const writePause = 1000;

export class Runs {
  readonly #options: RunsOptions;
  readonly #active = new Map<string, ActiveRun>();
  readonly #chains = new LRUCache<string, { readonly caller: Caller; readonly view: JsonObject }>({
    max: mostChains,
    maxSize: chainCharacters,
    sizeCalculation: ({ view }) => JSON.stringify(view).length,
  });
  readonly #claims: Claims;
  readonly #timers: Timer[] = [];
  #isLeaving = false;
  #left: Promise<void> | undefined;
  #isUsed = false;

  constructor(options: RunsOptions) {
    this.#options = options;
    this.#claims = new Claims({
      ...options,
      writer: (id) => this.#writer(id),
      hasRoom: (coming) => !this.#isLeaving && this.#active.size + coming < mostActive,
      isDriven: (id) => this.#active.has(id),
      drive: (run, program, journal) => this.#drive(run, program, journal),
      onProblem: (problem) => this.#tell(problem),
    });
  }

  /** Starts a run and waits for its end. Resolves with its view. Rejects with a CallError. */
  async start(request: RunRequest, wait: Wait): Promise<JsonObject> {
    if (this.#isLeaving)
      throw new CallError("unavailable", "Holdfast is about to end", {
        outcome: "failed",
        local: true,
      });
    if (this.#active.size >= mostActive)
      throw new CallError("overloaded", `${mostActive} runs are under way already`, {
        outcome: "failed",
        local: true,
        retryAfterMs: 1000,
      });
    const begun = request.kind === "chain" ? this.#beginChain(request) : await this.#begin(request);
    if (typeof begun === "string") return this.#follow(begun, request.caller, wait);
    return this.#wait(begun, wait);
  }

  /** A run with its steps; undefined where the caller has none of that id. */
  async get(id: string, caller: Caller): Promise<JsonObject | undefined> {
    const active = this.#active.get(id);
    if (active !== undefined) return isOf(active, caller) ? active.view : undefined;
    const chain = this.#chains.get(id);
    if (chain !== undefined) return isOf(chain, caller) ? chain.view : undefined;
    const run = await this.#stored(id, caller);
    if (run === undefined) return undefined;
    return viewOf(run, new Journal(await this.#options.store.journal(id)));
  }

  /** The caller's runs, the newest first, without their steps. */
  async list(filter: Omit<RunFilter, "principal">, caller: Caller): Promise<JsonObject[]> {
    const { limit = 50, name, state } = filter;
    const { principal } = caller;
    const ended = [...this.#chains.values()].flatMap((chain): JsonObject[] =>
      isOf(chain, caller) ? [withoutSteps(chain.view)] : [],
    );
    const active = [...this.#active.values()].filter((run) => isOf(run, caller));
    const chains = active.flatMap((run) => (run.isSaga ? [] : [headOf(run.head)]));
    const stored = (await this.#opened()?.list({ ...filter, principal, limit })) ?? [];
    const sagas = stored.map((run) => headOf(this.#active.get(run.id)?.head ?? run));
    return [...ended, ...chains, ...sagas]
      .filter((run) => name === undefined || run["name"] === name)
      .filter((run) => state === undefined || run["state"] === state)
      .toSorted((a, b) => String(b["startedAt"]).localeCompare(String(a["startedAt"])))
      .slice(0, limit);
  }

  /** Takes a run back: a chain stops, a saga is undone. Resolves with its view. Rejects with a refusal in words. */
  async cancel(id: string, caller: Caller, wait: Wait): Promise<JsonObject | undefined> {
    const active = this.#active.get(id);
    if (active !== undefined) {
      if (!isOf(active, caller)) return undefined;
      await active.takeBack(takenBack);
      return this.#wait(active, wait);
    }
    const chain = this.#chains.get(id);
    if (chain !== undefined && isOf(chain, caller)) throw refusal("the chain has ended");
    const run = await this.#stored(id, caller);
    if (run === undefined) return undefined;
    if (run.state !== "running") throw refusal(notCancellable(run.state));
    const { program } = parseDefinition(run.definition, run.kind);
    const journal = new Journal(await this.#options.store.journal(id));
    if (program !== undefined && mayBePastPivot(program, journal)) throw refusal(pastPivot);
    await this.#command(id, { type: "cancel" });
    this.#open();
    await this.#claimFreed(); // nobody may drive it any more
    return this.#follow(id, caller, wait);
  }

  /** Lets a stuck saga try again. Resolves with its view. */
  async resume(id: string, caller: Caller, wait: Wait): Promise<JsonObject | undefined> {
    const run = await this.#stuck(id, caller);
    if (run === undefined) return undefined;
    await this.#command(id, { type: "resume" });
    this.#open();
    await this.#claims.claim();
    return this.#follow(id, caller, wait);
  }

  /** Tells a stuck saga whether a call happened. Resolves with its view. */
  async resolve(
    id: string,
    { step, happened, result }: { step?: string | undefined; happened: boolean; result?: unknown },
    caller: Caller,
    wait: Wait,
  ): Promise<JsonObject | undefined> {
    const run = await this.#stuck(id, caller);
    if (run === undefined) return undefined;
    const chosen = chosenStep(run, step);
    await this.#command(id, { type: "resolve", step: chosen, happened, result: result ?? null });
    this.#open();
    await this.#claims.claim();
    return this.#follow(id, caller, wait);
  }

  /** Takes up what other processes have left behind, now and from time to time. Never rejects. */
  async recover(): Promise<void> {
    // Another process may come to make the store.
    const look = (): void => void (this.#options.storeExists() && this.#open());
    this.#timers.push(every(claimEvery, look));
    try {
      if (!this.#options.storeExists()) return;
      this.#open();
      await this.#claimFreed();
    } catch (error) {
      this.#tell(messageOf(error));
    }
  }

  /** Begins nothing more, and waits for steps under way for up to 5 s. */
  leave(): Promise<void> {
    return (this.#left ??= this.#leave());
  }

  async #leave(): Promise<void> {
    this.#isLeaving = true;
    for (const timer of this.#timers) timer.clear();
    const active = [...this.#active.values()];
    // Nobody could take up a chain.
    for (const run of active) if (!run.isSaga) run.cancel.cancel(disconnected);
    await settlesWithin(Promise.all(active.map(({ ended }) => ended)), leaveTime);
  }

  /** The same, and leaves what is left to others. */
  async close(): Promise<void> {
    await this.leave();
    await this.#options.store.close().catch(() => {});
  }

  #beginChain(request: RunRequest): ActiveRun {
    const { kind, name, version, caller, trace, program, input, event } = request;
    const { door } = this.#options;
    const id = `chain-${randomUUID()}`;
    const head = {
      id,
      name,
      kind,
      version,
      caller,
      trace,
      state: "running",
      startedAt: Date.now(),
    } as const;
    const journal = new Journal([]);
    const active = this.#track(head, program, journal);
    const { told, cancel } = active;
    const end = (state: "completed" | "failed", outcome: JsonObject): void => {
      active.end(state, outcome);
      this.#active.delete(id);
      this.#chains.set(id, { caller, view: active.view });
    };
    active.ended = runChain({
      id,
      door,
      caller,
      trace,
      program,
      input,
      event,
      journal,
      cancel,
      told,
    }).then(
      (output) => end("completed", { output: output ?? null }),
      (thrown: unknown) => end("failed", { cause: errorOf(thrown) }),
    );
    return active;
  }

  /** Begins a saga; or the id of the run that its key has already. */
  async #begin(request: RunRequest): Promise<ActiveRun | string> {
    const { program, key, event, ...rest } = request;
    const wanted = {
      ...rest,
      event: event ?? null,
      tools: this.#identities(program),
      ...(key !== undefined && { key }),
    };
    const { run, isNew } = await this.#open().begin(wanted).catch(notBegun);
    if (isNew) return this.#drive(run, program, new Journal([], this.#writer(run.id)));
    // Another version may have had other defaults, so that nothing can be told from its input.
    if (run.version === request.version && !isDeepStrictEqual(run.input, request.input))
      throw refusal(
        `nothing was begun: this key is that of run ${run.id}, which has another input`,
      );
    return run.id;
  }

  #drive(run: StoredRun, program: Program, journal: Journal): ActiveRun {
    const { door, store } = this.#options;
    const { id, input, event, caller, trace } = run;
    const active = this.#track(run, program, journal);
    const { told, cancel } = active;
    const takenBackBefore = journal.note("note:cancel");
    if (journal.note("note:undo") !== undefined) active.compensating();
    else if (takenBackBefore !== undefined)
      cancel.cancel(cancelled(String(takenBackBefore["reason"])));
    const isLeaving = (): boolean => this.#isLeaving;
    const compensating = async (): Promise<void> => {
      active.compensating();
      await store.mark(id, "compensating");
    };
    const around = { id, door, caller, trace, program, journal, input, event, cancel, told };
    active.ended = driveSaga({ ...around, isLeaving, compensating })
      .then((end) => this.#endSaga(id, active, end))
      .catch((error: unknown) => this.#dropped(id, active, error));
    return active;
  }

  async #endSaga(id: string, active: ActiveRun, { state, ...end }: SagaEnd): Promise<void> {
    const { store } = this.#options;
    const outcome: JsonObject = { ...end };
    await persistently(() =>
      active.journal.write((concluded) =>
        state === "stuck"
          ? store.park(id, outcome, undefined, concluded)
          : store.finish(id, state, outcome, concluded),
      ),
    );
    active.end(state, outcome);
    this.#active.delete(id);
  }

  /** A run that this process cannot go on with is left to whoever can. */
  async #dropped(id: string, active: ActiveRun, error: unknown): Promise<void> {
    this.#active.delete(id);
    if (error instanceof LeaseLost) return;
    const isAway = error instanceof Halted && error.why === "away";
    if (!isAway) this.#tell(`run ${id} is left as it is: ${messageOf(error)}`);
    active.drop(messageOf(error));
    await active.journal.settled();
    await this.#options.store.release(id, isAway ? undefined : claimEvery).catch(() => {});
  }

  #track(head: OwnedHead, program: Program, journal: Journal): ActiveRun {
    const active = new ActiveRun(head, program, journal, this.#options.report);
    this.#active.set(head.id, active);
    return active;
  }

  /** Waits for a run of ours. Who takes its call back takes the run back, too; who only has gone does not. */
  async #wait(active: ActiveRun, wait: Wait): Promise<JsonObject> {
    try {
      await active.wait(wait);
      return active.view;
    } catch (reason) {
      if (reason === disconnected) throw reason;
      await active.takeBack(messageOf(reason)).catch(() => {});
      // Past its pivot a saga goes on, and to be undone takes its time.
      throw active.isSaga ? asCallError(reason).with({ outcome: "unknown" }) : reason;
    }
  }

  /** Waits for a run that this process may come to drive, or another one drives. */
  async #follow(id: string, caller: Caller, wait: Wait): Promise<JsonObject> {
    const until = now() + wait.waitMs;
    for (;;) {
      const active = this.#active.get(id);
      // oxlint-disable no-await-in-loop -- it waits
      if (active !== undefined)
        return this.#wait(active, { ...wait, waitMs: Math.max(0, until - now()) });
      const view = await this.get(id, caller);
      if (view === undefined) throw refusal(`the run ${id} is not there any more`);
      const isUnderWay = view["state"] === "running" || view["state"] === "compensating";
      if (!isUnderWay || now() >= until) return view;
      if (wait.signal.reason !== undefined) throw wait.signal.reason;
      await sleep(lookEvery);
      // oxlint-enable no-await-in-loop
    }
  }

  async #command(id: string, command: JsonObject): Promise<void> {
    if (!(await this.#options.store.command(id, command)))
      throw refusal("it has ended meanwhile, or an earlier command for it was not taken yet");
  }

  /** The store, where there is one; to look at. */
  #opened(): RunStore | undefined {
    const { store, storeExists } = this.#options;
    return this.#isUsed || storeExists() ? store : undefined;
  }

  /** The store, whose runs this process looks after from now on. */
  #open(): RunStore {
    const { store, keepMs, maxRuns, maxBytes } = this.#options;
    if (this.#isUsed) return store;
    this.#isUsed = true;
    const quietly = (work: () => Promise<unknown>) => () =>
      void work().catch((error: unknown) => this.#tell(messageOf(error)));
    const prune = quietly(() => store.prune(keepMs, maxRuns, maxBytes));
    this.#timers.push(
      every(
        claimEvery,
        quietly(() => this.#claimFreed()),
      ),
      every(
        commandEvery,
        quietly(() => this.#takeCommands()),
      ),
      every(pruneEvery, prune),
    );
    prune();
    return store;
  }

  async #claimFreed(): Promise<void> {
    await this.#options.store.freeDead();
    await this.#claims.claim();
  }

  async #takeCommands(): Promise<void> {
    for (const [id, active] of [...this.#active].filter(([, { isSaga }]) => isSaga)) {
      // oxlint-disable no-await-in-loop -- a few reads a second
      const command = await this.#options.store.takeCommand(id).catch((error: unknown) => {
        // It has ended meanwhile; where it was taken over, its next write tells.
        if (!(error instanceof LeaseLost)) throw error;
      });
      if (command?.["type"] === "cancel") await active.takeBack(takenBack).catch(() => {});
      // oxlint-enable no-await-in-loop
    }
  }

  #identities(program: Program): Record<string, string> {
    const { door } = this.#options;
    return Object.fromEntries(
      toolsOf(program).flatMap((name) => {
        const tool = door.find(name);
        return tool === undefined || "refused" in tool ? [] : [[name, door.identity(tool)]];
      }),
    );
  }

  /** What a call came to is worth waiting for a disk: without it nobody knows whether it happened. */
  #writer(id: string): Writer {
    const { store } = this.#options;
    return {
      intend: (name, intent, concluded) => store.intend(id, name, intent, concluded),
      conclude: async (concluded) => {
        for (const { entry, result } of concluded)
          // oxlint-disable-next-line no-await-in-loop -- there is hardly ever more than one
          await persistently(() => store.conclude(id, entry, result));
      },
    };
  }

  async #stored(id: string, caller: Caller): Promise<StoredRun | undefined> {
    const run = await this.#opened()?.get(id);
    return run !== undefined && isOf(run, caller) ? run : undefined;
  }

  async #stuck(id: string, caller: Caller): Promise<StoredRun | undefined> {
    const active = this.#active.get(id);
    if (active !== undefined && isOf(active, caller)) throw refusal("it is under way");
    const run = await this.#stored(id, caller);
    if (run !== undefined && run.state !== "stuck") throw refusal(`it is ${run.state}, not stuck`);
    return run;
  }

  #tell(problem: string): void {
    this.#options.report({ type: "gateway.problem", problem: `runs: ${problem}` });
  }
}

const isOf = (run: { readonly caller: Caller }, { principal }: Caller): boolean =>
  run.caller.principal === principal;

const withoutSteps = ({ steps: _, output: __, ...head }: JsonObject): JsonObject => head;

/** The open call that is meant. Throws a refusal where it cannot be told. */
function chosenStep({ outcome }: StoredRun, step: string | undefined): string {
  const calls = (outcome?.["open"] ?? []) as readonly { readonly step: string }[];
  const open = calls.map((call) => call.step);
  const [only] = open;
  if (only === undefined) throw refusal("no step of the run waits for an answer");
  const chosen = step ?? (open.length === 1 ? only : "");
  if (open.includes(chosen)) return chosen;
  const got = step === undefined ? "" : `, got ${step}`;
  throw refusal(`expected step to be one of ${open.join(", ")}${got}`);
}

const errorOf = (thrown: unknown): StepError =>
  thrown instanceof StepFailed
    ? thrown.error
    : {
        step: "",
        code: "definition",
        outcome: "failed",
        message: messageOf(thrown),
        isTransient: false,
      };

/** Without its entry in the store nothing of a run is done. */
function notBegun(error: unknown): never {
  if (!(error instanceof StoreFailed)) throw error;
  const outcome = error.isInDoubt ? "unknown" : "failed";
  throw new CallError("unavailable", error.message, { outcome, local: true, cause: error });
}

/** Tries a few times to write. */
async function persistently(write: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    // oxlint-disable no-await-in-loop -- one attempt after the other
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof StoreFailed) || attempt === writeAttempts) throw error;
    }
    await sleep(writePause);
    // oxlint-enable no-await-in-loop
  }
}
