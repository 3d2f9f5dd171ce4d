import { backoff } from "../backoff.ts";
import { CallError, messageOf } from "../errors.ts";
import { after, type Timer } from "../time.ts";
import type { Notice } from "./cloud-event.ts";

export interface BatcherOptions {
  /** Who it is, in messages. */
  readonly name: string;
  readonly batchSize: number;
  readonly flushMs: number;
  readonly maxBuffered: number;
  /** Hands over events, oldest first. What it rejects with says why they are to be handed over again. */
  readonly write: (batch: readonly Notice[]) => Promise<void>;
  readonly onProblem: (problem: string) => void;
}

/** How a batcher does. */
export interface BatcherStatus {
  readonly buffered: number;
  readonly delivered: number;
  readonly dropped: number;
  /** Tries that failed. */
  readonly failures: number;
  /** Why the last try failed, where it did. */
  readonly problem?: string;
}

const pauses = { initialDelayMs: 1000, factor: 2, maxDelayMs: 60_000, jitter: "quarter" } as const;

/** Bytes that may wait, about, however few events that are. */
const mostBytes = 64 * 1024 * 1024;

/** How often events are handed over that are clearly refused, before they are given up for those behind them. */
const mostRefusals = 5;

/**
 * Collects events and hands them over in order, one batch at a time: when there are enough, when they have waited
 * long enough, or on demand. A batch that fails is handed over again, so each event comes at least once. Where
 * too many wait, new ones are dropped, counted and told once: what was accepted first is kept.
 */
export class Batcher {
  readonly #options: BatcherOptions;
  readonly #buffer: Notice[] = [];
  #bytes = 0;
  #delivered = 0;
  #dropped = 0;
  #failures = 0;
  /** Failures since it last went well, and those of them by which the first batch was clearly refused. */
  #inARow = 0;
  #refusals = 0;
  #problem: string | undefined;
  #isFull = false;
  #isClosed = false;
  #timer: Timer | undefined;
  #flushing: Promise<void> | undefined;

  constructor(options: BatcherOptions) {
    this.#options = options;
  }

  /** Throws where there is no room. */
  add(notice: Notice): void {
    const { batchSize, maxBuffered, name } = this.#options;
    const isFull = this.#buffer.length >= maxBuffered || this.#bytes >= mostBytes;
    if (isFull || this.#isClosed) {
      this.#dropped++;
      if (isFull && !this.#isFull) {
        this.#isFull = true;
        this.#options.onProblem(
          `${name}: ${this.#buffer.length} events wait, new ones are dropped`,
        );
      }
      throw new Error(`${name} has no room`);
    }
    this.#buffer.push(notice);
    this.#bytes += notice.bytes;
    const isEnough = this.#buffer.length >= batchSize && this.#inARow === 0;
    if (isEnough && this.#flushing === undefined) void this.#flush();
    else this.#schedule();
  }

  /** Counts an event that was kept away from it. */
  drop(): void {
    this.#dropped++;
  }

  /** Resolves when all that waits now was handed over, or a try of that failed. Never rejects. */
  async flush(): Promise<void> {
    await this.#flushing;
    await this.#flush();
  }

  status(): BatcherStatus {
    return {
      buffered: this.#buffer.length,
      delivered: this.#delivered,
      dropped: this.#dropped,
      failures: this.#failures,
      ...(this.#problem !== undefined && { problem: this.#problem }),
    };
  }

  /** Takes no more events; what still waits is counted as dropped, and told. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.clear();
    const left = this.#buffer.length;
    if (left === 0) return;
    this.#dropped += left;
    this.#buffer.length = 0;
    this.#options.onProblem(
      `${this.#options.name}: ${left} events could not be handed over and are lost`,
    );
  }

  #schedule(): void {
    if (this.#isClosed || this.#buffer.length === 0 || this.#flushing !== undefined) return;
    const { batchSize, flushMs } = this.#options;
    const isEnough = this.#buffer.length >= batchSize;
    const wait = this.#inARow > 0 ? backoff(this.#inARow, pauses) : isEnough ? 0 : flushMs;
    this.#timer ??= after(wait, () => void this.#flush());
  }

  #flush(): Promise<void> {
    this.#timer?.clear();
    this.#timer = undefined;
    return (this.#flushing ??= this.#handOver().finally(() => {
      this.#flushing = undefined;
      this.#schedule();
    }));
  }

  async #handOver(): Promise<void> {
    const { batchSize, write } = this.#options;
    for (let left = this.#buffer.length; left > 0 && this.#buffer.length > 0; left -= batchSize) {
      const batch = this.#buffer.slice(0, batchSize);
      try {
        // oxlint-disable-next-line no-await-in-loop -- in order
        await write(batch);
      } catch (error) {
        if (!this.#isClosed) this.#failed(error, batch.length);
        return;
      }
      if (this.#isClosed) return;
      this.#inARow = this.#refusals = 0;
      this.#problem = undefined;
      this.#isFull = false;
      this.#delivered += batch.length;
      this.#remove(batch.length);
    }
  }

  #failed(error: unknown, count: number): void {
    const { name, onProblem } = this.#options;
    const problem = messageOf(error);
    this.#failures++;
    this.#problem = problem;
    if (this.#inARow++ === 0)
      onProblem(
        `${name}: ${count} events could not be handed over and are tried again: ${problem}`,
      );
    const isRefused = error instanceof CallError && error.outcome === "answered";
    this.#refusals = isRefused ? this.#refusals + 1 : 0;
    if (this.#refusals < mostRefusals) return;
    this.#refusals = this.#inARow = 0;
    this.#dropped += count;
    this.#remove(count);
    onProblem(
      `${name}: ${count} events are dropped, since they were refused ${mostRefusals} times`,
    );
  }

  #remove(count: number): void {
    for (const { bytes } of this.#buffer.splice(0, count)) this.#bytes -= bytes;
  }
}
