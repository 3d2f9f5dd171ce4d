import { isDeepStrictEqual } from "node:util";
import pLimit from "p-limit";
import type { Caller, JsonObject, Tool } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { cancelled, messageOf } from "../errors.ts";
import { compileExpression } from "../expressions/expression.ts";
import { compileTemplate } from "../expressions/template.ts";
import type { Subscriber } from "./bus.ts";
import type { Notice } from "./cloud-event.ts";
import type { SubscriptionOptions } from "./events-options.ts";
import { callFor, nameOf, toolOf, type Door } from "./runs.ts";
import { withoutLoops } from "./sinks.ts";

/** What subscriptions stand on. */
export interface SubscriptionSurroundings {
  readonly door: Door;
  readonly onProblem: (problem: string) => void;
  /** Why a caller may not have that tool run, where it is so. */
  readonly mayRun: (tool: Tool, caller: Caller) => string | undefined;
}

/** How a subscription does. */
export interface SubscriptionStatus {
  readonly id?: string;
  readonly on: string;
  readonly run: string;
  readonly active: number;
  readonly waiting: number;
  readonly done: number;
  readonly failed: number;
  readonly dropped: number;
  /** Why the last run failed, where it did. */
  readonly problem?: string;
}

/** Something that events start, a few at a time. */
export class Subscription implements Subscriber {
  readonly types: readonly string[];
  /** Of those that are made at run time. */
  readonly id: string | undefined;
  readonly owner: Caller | undefined;
  readonly #options: SubscriptionOptions;
  readonly #around: SubscriptionSurroundings;
  readonly #name: string;
  readonly #argumentsOf: (event: unknown) => JsonObject;
  readonly #holds: (event: unknown) => boolean;
  readonly #isSound: (notice: Notice) => boolean;
  readonly #limit: ReturnType<typeof pLimit>;
  readonly #stop = new Cancel();
  readonly #runs = new Set<Promise<void>>();
  #done = 0;
  #failed = 0;
  #dropped = 0;
  #problem: string | undefined;
  #isFull = false;

  /** Without `made` it is config's, and runs as whoever an event belongs to. */
  constructor(
    options: SubscriptionOptions,
    around: SubscriptionSurroundings,
    made?: { readonly id: string; readonly owner: Caller },
  ) {
    const { on, when, run, maxConcurrent } = options;
    const name = `the subscription of ${on} to ${nameOf(run)}`;
    const place = { scope: ["event"], where: name };
    const template = run.arguments ?? run.input;
    const args = template && compileTemplate(template, place);
    const test = when === undefined ? undefined : compileExpression(when, place);
    this.types = [on];
    this.id = made?.id;
    this.owner = made?.owner;
    this.#options = options;
    this.#around = around;
    this.#name = name;
    this.#argumentsOf = (event) =>
      (args === undefined ? event : args.evaluate({ event })) as JsonObject;
    this.#holds = (event) => test === undefined || isTrue(test.evaluate({ event }));
    this.#isSound = withoutLoops(() => void this.#dropped++);
    this.#limit = pLimit(maxConcurrent);
  }

  readonly hears = (notice: Notice): boolean => {
    const { owner } = notice;
    const isTheirs =
      this.owner === undefined || owner === undefined || owner === this.owner.principal;
    return isTheirs && this.#holdsFor(notice) && this.#isSound(notice);
  };

  /** Resolves when what the event starts has succeeded. Rejects where it fails, or too many wait. */
  readonly handle = (notice: Notice): Promise<void> => {
    const { activeCount, pendingCount } = this.#limit;
    const { maxConcurrent, maxQueue } = this.#options;
    if (activeCount + pendingCount >= maxConcurrent + maxQueue) {
      this.#dropped++;
      const isNew = !this.#isFull;
      this.#isFull = true;
      if (isNew) this.#tell(`${pendingCount} events wait, new ones are dropped`);
      return Promise.reject(new Error(`${this.#name} has no room`));
    }
    const run = this.#limit(() => this.#run(notice));
    this.#runs.add(run);
    const forget = (): void => void this.#runs.delete(run);
    run.then(forget, forget);
    return run;
  };

  /** Whether config says of it what it is. */
  is(options: SubscriptionOptions): boolean {
    return isDeepStrictEqual(options, this.#options);
  }

  status(): SubscriptionStatus {
    return {
      ...(this.id !== undefined && { id: this.id }),
      on: this.#options.on,
      run: nameOf(this.#options.run),
      active: this.#limit.activeCount,
      waiting: this.#limit.pendingCount,
      done: this.#done,
      failed: this.#failed,
      dropped: this.#dropped,
      ...(this.#problem !== undefined && { problem: this.#problem }),
    };
  }

  /** Resolves when nothing that it has started is under way. Never rejects. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#runs);
  }

  /** Starts nothing more. What is under way goes on, or is cancelled too where it is to end at once. */
  stop(atOnce: boolean): void {
    const waiting = this.#limit.pendingCount;
    this.#dropped += waiting;
    this.#limit.clearQueue();
    if (waiting > 0) this.#tell(`it ends, and ${waiting} events that waited are dropped`);
    if (atOnce) this.#stop.cancel(cancelled(`${this.#name} ends`));
  }

  #holdsFor({ event }: Notice): boolean {
    try {
      return this.#holds(event);
    } catch (error) {
      this.#count(error);
      throw error;
    }
  }

  async #run({ event, owner, depth }: Notice): Promise<void> {
    const { door, mayRun } = this.#around;
    const { run } = this.#options;
    try {
      const tool = toolOf(run, door);
      if (tool === undefined) throw new Error(`there is no tool for ${nameOf(run)}`);
      const refusal = this.owner && mayRun(tool, this.owner);
      if (refusal !== undefined) throw new Error(refusal);
      const principal = this.owner?.principal ?? owner ?? "local";
      const cause = { principal, depth, trace: event.trace, signal: this.#stop };
      await callFor(door, tool, this.#argumentsOf(event), cause);
    } catch (error) {
      this.#count(error);
      throw error;
    }
    this.#done++;
    this.#problem = undefined;
    this.#isFull = false;
  }

  /** Counts a failure, and tells the first of several in a row. */
  #count(error: unknown): void {
    this.#failed++;
    const isNew = this.#problem === undefined;
    this.#problem = messageOf(error);
    if (isNew) this.#tell(`a run failed: ${this.#problem}`);
  }

  #tell(problem: string): void {
    this.#around.onProblem(`${this.#name}: ${problem}`);
  }
}

function isTrue(value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new Error(`when: expected true or false, got ${JSON.stringify(value)}`);
}
