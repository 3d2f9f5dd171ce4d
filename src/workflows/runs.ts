/*
 * All runs of this process: those that it drives, and those that it finds in the store.
 */
import { randomUUID } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Caller, JsonObject, Progress } from "../call.ts";
import { Cancel } from "../cancel.ts";
import {
  CallError,
  cancelled,
  disconnected,
  messageOf,
  type CallError as Reason,
} from "../errors.ts";
import type { Report, RunInfo } from "../events.ts";
import { every, now, settlesWithin, sleep, type Timer } from "../time.ts";
import type { Door } from "./call-step.ts";
import { runChain } from "./chain-run.ts";
import { Journal, type Note } from "./journal.ts";
import { parseDefinition } from "./parse.ts";
import { allNodes, type Program } from "./program.ts";
import { LeaseLost, StoreFailed, type NewRun, type RunStore, type StoredRun } from "./run-store.ts";
import type { RunFilter, RunKind, RunState } from "./run-store.ts";
import { driveSaga, isPastPivot, type SagaEnd, type StepPhase } from "./saga-run.ts";
import { Halted, StepFailed, type StepError } from "./step-error.ts";
import { headOf, viewOf, type RunHead } from "./view.ts";

export interface RunsOptions {
  readonly door: Door;
  /** Of sagas. It opens itself when first used. */
  readonly store: RunStore;
  /** Whether there is a store already, so that it is worth opening for a look. */
  readonly storeExists: () => boolean;
  /** Resolves when as many tools are known as can be waited for. */
  readonly listed: () => Promise<void>;
  readonly report: Report;
  /** Milliseconds for which ended runs are kept, and how many at most. */
  readonly keepMs: number;
  readonly maxRuns: number;
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

/** How long the caller waits, and what it wants to hear meanwhile. */
export interface Wait {
  /** Milliseconds; then the run goes on alone. */
  readonly waitMs: number;
  readonly signal: Cancel;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** A run that this process drives. */
interface Active {
  readonly head: RunHead;
  readonly program: Program;
  readonly journal: Journal;
  readonly cancel: Cancel;
  readonly begun: number;
  readonly listeners: Set<(progress: Progress) => void>;
  readonly count: { done: number; readonly total: number };
  state: RunState;
  outcome?: JsonObject;
  endedAt?: number;
  ended: Promise<void>;
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
/** Milliseconds until a run whose tools are missing is looked at again. */
const missingTime = 30_000;
/** How often it is tried to write what a call came to, and milliseconds between. */
const writeAttempts = 5;
const writePause = 1000;

export class Runs {
  readonly #options: RunsOptions;
  readonly #active = new Map<string, Active>();
  readonly #chains = new LRUCache<string, { readonly caller: Caller; readonly view: JsonObject }>({
    max: mostChains,
    maxSize: chainCharacters,
    sizeCalculation: ({ view }) => JSON.stringify(view).length,
  });
  readonly #timers: Timer[] = [];
  #claiming: Promise<void> | undefined;
  #leaving = false;
  #isOpen = false;

  constructor(options: RunsOptions) {
    this.#options = options;
  }

  /** Starts a run and waits for its end. Resolves with its view. Rejects with StoreFailed, or the caller's cancel. */
  async start(request: RunRequest, wait: Wait): Promise<JsonObject> {
    if (this.#active.size >= mostActive || this.#leaving)
      throw new CallError("overloaded", `${mostActive} runs are under way already`, {
        outcome: "failed",
        local: true,
        retryAfterMs: 1000,
      });
    const active =
      request.kind === "chain" ? this.#startChain(request) : await this.#begin(request);
    if (typeof active === "string") return this.#follow(active, request.caller, wait);
    return this.#wait(active, wait);
  }

  /** A run with its steps; undefined where the caller has none of that id. */
  async get(id: string, caller: Caller): Promise<JsonObject | undefined> {
    const active = this.#active.get(id);
    if (active !== undefined) return isOf(active.head, caller) ? this.#viewOf(active) : undefined;
    const chain = this.#chains.get(id);
    if (chain !== undefined)
      return chain.caller.principal === caller.principal ? chain.view : undefined;
    const run = await this.#stored(id, caller);
    if (run === undefined) return undefined;
    return viewOf(run, new Journal(await this.#options.store.journal(id)));
  }

  /** The caller's runs, the newest first, without their steps. */
  async list(filter: Omit<RunFilter, "principal">, caller: Caller): Promise<JsonObject[]> {
    const { limit = 50, name, state } = filter;
    const { principal } = caller;
    const chains = [...this.#chains.values()]
      .filter((chain) => chain.caller.principal === principal)
      .map(({ view: { steps: _, output: __, ...head } }) => head);
    const running = [...this.#active.values()]
      .filter(({ head }) => head.kind === "chain" && isOf(head, caller))
      .map((active) => headOf(stateOf(active)));
    const sagas = (await this.#opened()?.list({ ...filter, principal, limit })) ?? [];
    return [...chains, ...running, ...sagas.map((run) => headOf(this.#current(run)))]
      .filter(
        (run) => (name ?? run["name"]) === run["name"] && (state ?? run["state"]) === run["state"],
      )
      .toSorted((a, b) => String(b["startedAt"]).localeCompare(String(a["startedAt"])))
      .slice(0, limit);
  }

  /** Takes a run back: a chain stops, a saga is undone. Resolves with its view. Rejects with a refusal in words. */
  async cancel(id: string, caller: Caller, wait: Wait): Promise<JsonObject | undefined> {
    const active = this.#active.get(id);
    if (active !== undefined) {
      if (!isOf(active.head, caller)) return undefined;
      await this.#cancel(active, "it was taken back by cancel_run");
      return this.#wait(active, wait);
    }
    if (this.#chains.has(id)) throw refusal("the chain has ended");
    const run = await this.#stored(id, caller);
    if (run === undefined) return undefined;
    if (run.state !== "running") throw refusal(notCancellable(run.state));
    const { store } = this.#options;
    const { program } = parseDefinition(run.definition, run.kind);
    const journal = new Journal(await store.journal(id));
    if (program !== undefined && isPastPivot(program, journal)) throw refusal(pastPivot);
    await this.#command(run, { type: "cancel" });
    return this.#follow(id, caller, wait);
  }

  /** Lets a stuck saga try again. Resolves with its view. */
  async resume(id: string, caller: Caller, wait: Wait): Promise<JsonObject | undefined> {
    const run = await this.#stuck(id, caller);
    if (run === undefined) return undefined;
    await this.#command(run, { type: "resume" });
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
    const open = openSteps(run);
    const chosen = step ?? (open.length === 1 ? open[0] : undefined);
    if (chosen === undefined || !open.includes(chosen))
      throw refusal(
        open.length === 0
          ? "no step of the run waits for an answer"
          : `expected step to be one of ${open.join(", ")}${step === undefined ? "" : `, got ${step}`}`,
      );
    const command = { type: "resolve", step: chosen, happened, result: result ?? null };
    await this.#command(run, command);
    return this.#follow(id, caller, wait);
  }

  /** Takes up what other processes have left behind, now and from time to time. Never rejects. */
  async recover(): Promise<void> {
    try {
      const store = this.#opened();
      await store?.freeDead();
      if (store !== undefined) await this.#claim();
    } catch (error) {
      this.#tell(error);
    }
  }

  /** Begins nothing more, waits for steps under way for up to 5 s, and leaves the rest to others. */
  async close(): Promise<void> {
    this.#leaving = true;
    for (const timer of this.#timers) timer.clear();
    const chains = [...this.#active.values()].filter(({ head }) => head.kind === "chain");
    for (const { cancel } of chains) cancel.cancel(disconnected);
    await settlesWithin(
      Promise.all([...this.#active.values()].map(({ ended }) => ended)),
      leaveTime,
    );
    if (this.#isOpen) await this.#options.store.close().catch(() => {});
  }

  #startChain(request: RunRequest): Active {
    const { kind, name, caller, trace, program, input, event } = request;
    const head: RunHead & { caller: Caller } = {
      id: `chain-${randomUUID()}`,
      name,
      kind,
      caller,
      trace,
      state: "running",
      startedAt: Date.now(),
    };
    const active = this.#track(head, program, new Journal([]));
    const { door } = this.#options;
    const told = this.#teller(active);
    active.ended = runChain({
      ...active,
      id: head.id,
      door,
      caller,
      trace,
      input,
      event,
      told,
    }).then(
      (output) => this.#endChain(active, "completed", { output: output ?? null }),
      (thrown: unknown) => this.#endChain(active, "failed", { cause: errorOf(thrown) }),
    );
    return active;
  }

  #endChain(active: Active, state: "completed" | "failed", outcome: JsonObject): void {
    this.#ended(active, state, outcome);
    const { caller } = active.head as RunHead & { caller: Caller };
    this.#chains.set(active.head.id, { caller, view: this.#viewOf(active) });
  }

  /** Begins a saga; the id of the run that its key has already. */
  async #begin(request: RunRequest): Promise<Active | string> {
    const store = this.#open();
    const { program, definition, key, name, kind, version, input, caller, trace, event } = request;
    const wanted: NewRun = {
      name,
      kind,
      version,
      input,
      caller,
      trace,
      definition,
      event: event ?? null,
      tools: this.#identities(program),
      ...(key !== undefined && { key }),
    };
    const { run, isNew } = await store.begin(wanted);
    if (!isNew) return run.id;
    return this.#drive(run, program, new Journal([], this.#writer(run.id)));
  }

  #drive(run: StoredRun, program: Program, journal: Journal): Active {
    const active = this.#track(run, program, journal);
    const { door, store } = this.#options;
    const { id, input, event, caller, trace } = run;
    if (journal.note("note:undo") !== undefined) active.state = "compensating";
    else if (journal.note("note:cancel") !== undefined)
      active.cancel.cancel(cancelled(String(journal.note("note:cancel")?.["reason"])));
    active.ended = driveSaga({
      id,
      door,
      caller,
      trace,
      program,
      journal,
      input,
      event,
      cancel: active.cancel,
      isLeaving: () => this.#leaving,
      compensating: async () => {
        active.state = "compensating";
        await store.mark(id, "compensating");
      },
      told: this.#teller(active),
    })
      .then((end) => this.#endSaga(active, end))
      .catch((error: unknown) => this.#dropped(active, error));
    return active;
  }

  async #endSaga(active: Active, end: SagaEnd): Promise<void> {
    const { store } = this.#options;
    const { state, ...outcome } = end;
    const { id } = active.head;
    const json = { ...outcome };
    await persistently(() =>
      state === "stuck" ? store.park(id, json) : store.finish(id, state, json),
    );
    this.#ended(active, state, json);
  }

  /** A run that this process cannot go on with is left to whoever can. */
  async #dropped(active: Active, error: unknown): Promise<void> {
    const { id } = active.head;
    this.#active.delete(id);
    if (error instanceof LeaseLost) return;
    const isAway = error instanceof Halted && error.why === "away";
    if (!isAway) this.#tell(error, `run ${id} is left as it is`);
    active.outcome = { problem: messageOf(error) };
    await this.#options.store.release(id, isAway ? undefined : claimEvery).catch(() => {});
  }

  #track(run: RunHead & { caller: Caller }, program: Program, journal: Journal): Active {
    const total = allNodes(program.steps).filter(({ body }) => body.kind === "tool").length;
    const active: Active = {
      head: run,
      program,
      journal,
      cancel: new Cancel(),
      begun: now(),
      listeners: new Set(),
      count: { done: 0, total },
      state: "running",
      ended: Promise.resolve(),
    };
    this.#active.set(run.id, active);
    this.#options.report({ type: "run.started", run: infoOf(run) });
    return active;
  }

  #ended(
    active: Active,
    state: "completed" | "failed" | "compensated" | "stuck",
    outcome: JsonObject,
  ): void {
    active.state = state;
    active.outcome = outcome;
    if (state !== "stuck") active.endedAt = Date.now();
    this.#active.delete(active.head.id);
    const { message } = (outcome["cause"] ?? {}) as { message?: string };
    this.#options.report({
      type: "run.ended",
      run: infoOf(active.head as RunHead & { caller: Caller }),
      state,
      ms: now() - active.begun,
      ...(message !== undefined && { error: message }),
    });
  }

  #teller(active: Active) {
    const run = infoOf(active.head as RunHead & { caller: Caller });
    return (step: string, tool: string, phase: StepPhase, error?: StepError): void => {
      this.#options.report({
        type: "run.step",
        run,
        step,
        tool,
        phase,
        ...(error !== undefined && { error: error.message }),
      });
      const { count, listeners } = active;
      if (phase !== "started") count.done++;
      const total = Math.max(count.total, count.done);
      const message =
        phase === "started" ? `${step}: ${tool}` : `${step} ${phase.replace("_", " ")}`;
      for (const listener of listeners) listener({ progress: count.done, total, message });
    };
  }

  /** Waits for a run of ours. */
  async #wait(active: Active, { waitMs, signal, onProgress }: Wait): Promise<JsonObject> {
    if (onProgress !== undefined) active.listeners.add(onProgress);
    const taken = new Promise<Reason>((resolve) => signal.subscribe(resolve));
    const reason = await Promise.race([
      taken,
      settlesWithin(active.ended, waitMs).then(() => undefined),
    ]);
    if (onProgress !== undefined) active.listeners.delete(onProgress);
    if (reason === undefined) return this.#viewOf(active);
    // Who has gone has taken nothing back: the run goes on.
    if (reason !== disconnected) await this.#cancel(active, reason.message).catch(() => {});
    throw reason;
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
      const { state } = view ?? {};
      if (view !== undefined && (!isUnderWay(state) || now() >= until)) return view;
      if (wait.signal.reason !== undefined) throw wait.signal.reason;
      await sleep(lookEvery);
      // oxlint-enable no-await-in-loop
    }
  }

  async #cancel(active: Active, reason: string): Promise<void> {
    const { head, journal, program, cancel } = active;
    if (head.kind === "saga") {
      if (active.state === "compensating") throw refusal(notCancellable("compensating"));
      const pivot = program.steps.find(({ step }) => step.pivot);
      const effect = pivot && journal.of(pivot.id);
      if (effect !== undefined && effect.conclusion?.outcome !== "failed") throw refusal(pastPivot);
      await journal.writeNote("note:cancel", { reason });
    }
    cancel.cancel(cancelled(reason));
  }

  async #command(run: StoredRun, command: JsonObject): Promise<void> {
    if (!(await this.#options.store.command(run.id, command)))
      throw refusal("it has ended meanwhile, or an earlier command for it was not taken yet");
    if (run.state === "stuck") await this.#claim();
  }

  /** The store, where there is one. */
  #opened(): RunStore | undefined {
    return this.#isOpen || this.#options.storeExists() ? this.#open() : undefined;
  }

  /** The store, which is looked after from now on. */
  #open(): RunStore {
    const { store, keepMs, maxRuns } = this.#options;
    if (this.#isOpen) return store;
    this.#isOpen = true;
    const quietly = (work: () => Promise<unknown>) => () =>
      void work().catch((error: unknown) => this.#tell(error));
    const claim = async (): Promise<void> => {
      await store.freeDead();
      await this.#claim();
    };
    const prune = quietly(() => store.prune(keepMs, maxRuns));
    this.#timers.push(
      every(claimEvery, quietly(claim)),
      every(
        commandEvery,
        quietly(() => this.#takeCommands()),
      ),
      every(pruneEvery, prune),
    );
    prune();
    return store;
  }

  /** Takes all runs that nobody drives. One claim at a time. */
  #claim(): Promise<void> {
    this.#claiming ??= (async () => {
      while (!this.#leaving && this.#active.size < mostActive) {
        // oxlint-disable no-await-in-loop -- one after the other
        const run = await this.#options.store.claim();
        if (run === undefined) return;
        await this.#take(run);
        // oxlint-enable no-await-in-loop
      }
    })().finally(() => (this.#claiming = undefined));
    return this.#claiming;
  }

  async #take(run: StoredRun): Promise<void> {
    const { id } = run;
    const { store } = this.#options;
    try {
      const command = await store.takeCommand(id);
      const entries = await store.journal(id);
      const { program, problems } = parseDefinition(run.definition, run.kind);
      const journal = new Journal(entries, this.#writer(id));
      const accepts = command?.["type"] === "resume" || journal.note("note:accept") !== undefined;
      const missing =
        program === undefined || problems.length > 0
          ? ["its definition is not understood by this version"]
          : await this.#missing(run, accepts);
      if (program === undefined || missing.length > 0) {
        await store.park(id, { reason: "missing", open: [], missing }, missingTime);
        return;
      }
      if (command?.["type"] === "resume") await journal.writeNote("note:accept", {});
      if (command?.["type"] === "resolve") {
        const { step, happened, result } = command;
        const at = journal.of(String(step))?.at ?? 0;
        await journal.writeNote(`note:resolve:${String(step)}` satisfies Note, {
          happened,
          result,
          at,
        });
      }
      if (command?.["type"] === "cancel" && !isPastPivot(program, journal))
        await journal.writeNote("note:cancel", { reason: "it was taken back by cancel_run" });
      if (run.state === "stuck")
        await store.mark(id, journal.note("note:undo") === undefined ? "running" : "compensating");
      this.#drive(run, program, journal);
    } catch (error) {
      if (error instanceof LeaseLost) return;
      this.#tell(error, `run ${id} is left as it is`);
      await store.release(id, claimEvery).catch(() => {});
    }
  }

  /** What a run needs and is not there, or is not what it was. */
  async #missing({ tools }: StoredRun, accepts: boolean): Promise<string[]> {
    const look = (): string[] =>
      Object.entries(tools).flatMap(([name, identity]) => {
        const tool = this.#options.door.find(name);
        if (tool === undefined || "refused" in tool) return [`the tool ${name} is not there`];
        if (accepts || this.#options.door.identity(tool) === identity) return [];
        return [
          `the tool ${name} is of another server now, or of one that is run otherwise; resume_run takes it as it is`,
        ];
      });
    const missing = look();
    if (missing.length === 0) return missing;
    await this.#options.listed();
    return look();
  }

  async #takeCommands(): Promise<void> {
    for (const active of [...this.#active.values()].filter(({ head }) => head.kind === "saga")) {
      // oxlint-disable-next-line no-await-in-loop -- a few reads a second
      const command = await this.#options.store.takeCommand(active.head.id);
      if (command?.["type"] === "cancel")
        await this.#cancel(active, "it was taken back by cancel_run").catch(() => {});
    }
  }

  #identities(program: Program): Record<string, string> {
    const { door } = this.#options;
    const names = allNodes(program.steps).flatMap(({ body }) =>
      body.kind === "tool"
        ? [body.tool, body.undo !== false && body.undo?.tool, body.verify?.tool]
        : [],
    );
    return Object.fromEntries(
      names.flatMap((name) => {
        const tool = typeof name === "string" ? door.find(name) : undefined;
        return tool === undefined || "refused" in tool ? [] : [[tool.name, door.identity(tool)]];
      }),
    );
  }

  /** What a call came to is worth waiting for a disk: without it nobody knows whether it happened. */
  #writer(id: string) {
    const { store } = this.#options;
    return {
      intend: (name: string, intent: JsonObject) => store.intend(id, name, intent),
      conclude: (entry: string, result: JsonObject) =>
        persistently(() => store.conclude(id, entry, result)),
    };
  }

  async #stored(id: string, caller: Caller): Promise<StoredRun | undefined> {
    const run = await this.#opened()?.get(id);
    return run !== undefined && isOf(run, caller) ? run : undefined;
  }

  async #stuck(id: string, caller: Caller): Promise<StoredRun | undefined> {
    if (this.#active.has(id)) throw refusal("it is under way");
    const run = await this.#stored(id, caller);
    if (run !== undefined && run.state !== "stuck") throw refusal(`it is ${run.state}, not stuck`);
    return run;
  }

  /** A stored run as this process knows it. */
  readonly #current = (run: StoredRun): RunHead => {
    const active = this.#active.get(run.id);
    return active === undefined ? run : stateOf(active);
  };

  #viewOf(active: Active): JsonObject {
    return viewOf(stateOf(active), active.journal);
  }

  #tell(error: unknown, what = "runs cannot be looked after"): void {
    this.#options.report({ type: "gateway.problem", problem: `${what}: ${messageOf(error)}` });
  }
}

const stateOf = ({ head, state, outcome, endedAt }: Active): RunHead => ({
  id: head.id,
  name: head.name,
  kind: head.kind,
  state,
  startedAt: head.startedAt,
  trace: head.trace,
  ...(outcome !== undefined && { outcome }),
  ...(endedAt !== undefined && { endedAt }),
});

/** What a call of a run tool is refused with. */
export const refusal = (message: string): CallError =>
  new CallError("denied", message, { outcome: "answered", local: true });

const notCancellable = (state: RunState): string =>
  state === "stuck"
    ? "it is stuck: resume_run tries again, resolve_run says what happened"
    : state === "compensating"
      ? "it is being undone already"
      : `it has ended: it is ${state}`;

const pastPivot = "it is past its pivot, from where it can only go on";

const isUnderWay = (state: unknown): boolean => state === "running" || state === "compensating";

const isOf = (head: object, { principal }: Caller): boolean =>
  (head as { caller?: Caller }).caller?.principal === principal;

const infoOf = ({ id, name, kind, caller, trace }: RunHead & { caller: Caller }): RunInfo => ({
  id,
  name,
  kind,
  caller,
  trace,
});

const openSteps = ({ outcome }: StoredRun): string[] =>
  ((outcome?.["open"] ?? []) as readonly { step: string }[]).map(({ step }) => step);

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

/** Tries a few times to write. */
async function persistently(write: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++)
    try {
      // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
      return await write();
    } catch (error) {
      if (!(error instanceof StoreFailed) || attempt === writeAttempts) throw error;
      // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
      await sleep(writePause);
    }
}
