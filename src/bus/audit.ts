import { matches } from "../catalog/glob.ts";
import type { Cancel } from "../cancel.ts";
import { Batcher, type BatcherStatus } from "./batcher.ts";
import type { Subscriber } from "./bus.ts";
import { isCloudEvent, ownerOf, type CloudEvent, type Notice } from "./cloud-event.ts";
import { EventFile } from "./event-file.ts";
import type { AuditOptions } from "./events-options.ts";
import type { Found, Query } from "./history.ts";

/** What an audit has found. */
export interface Audited extends Found {
  /** Lines of the file that are no events: torn, or somebody else's. */
  readonly skipped: number;
}

/** Characters of the events that one query gives at most; the newest. */
const mostCharacters = 1024 * 1024;

/** The events of chosen types, in a file that stays. */
export class Audit implements Subscriber {
  readonly types: readonly string[];
  readonly #file: EventFile;
  readonly #batcher: Batcher;
  /** Queries read one after the other: each may have to go through the whole file. */
  #reading: Promise<unknown> = Promise.resolve();

  constructor({ file, types, maxBytes }: AuditOptions, onProblem: (problem: string) => void) {
    this.types = types;
    this.#file = new EventFile(file, maxBytes);
    this.#batcher = new Batcher({
      name: `the audit file ${file}`,
      // Written at once, and what comes meanwhile together after that.
      batchSize: 1000,
      flushMs: 0,
      maxBuffered: 10_000,
      write: (batch) => this.#file.append(batch.map(({ event }) => event)),
      onProblem,
    });
  }

  readonly handle = (notice: Notice): void => this.#batcher.add(notice);

  /** Reads the file, with all that has happened until now. Rejects where it cannot be read, or is cancelled. */
  query(query: Query, signal: Cancel): Promise<Audited> {
    const found = this.#reading.then(() => this.#query(query, signal));
    this.#reading = found.catch(() => {});
    return found;
  }

  flush(): Promise<void> {
    return this.#batcher.flush();
  }

  status(): BatcherStatus {
    return this.#batcher.status();
  }

  close(): void {
    this.#batcher.close();
  }

  async #query({ type, since, limit, principal }: Query, signal: Cancel): Promise<Audited> {
    await this.flush();
    const found: { readonly event: CloudEvent; readonly length: number }[] = [];
    let characters = 0;
    let more = false;
    let skipped = 0;
    const take = (line: string | undefined): void => {
      const event = line === undefined ? undefined : eventOf(line);
      if (line === undefined || event === undefined) return void skipped++;
      const owner = ownerOf(event);
      const isFit =
        Date.parse(event.time) >= since &&
        (owner === undefined || owner === principal) &&
        (type === undefined || matches(type, event.type));
      if (!isFit) return;
      found.push({ event, length: line.length });
      characters += line.length;
      while (found.length > limit || characters > mostCharacters) {
        characters -= found.shift()?.length ?? 0;
        more = true;
      }
    };
    await this.#file.read(since, take, () => signal.reason !== undefined);
    if (signal.reason !== undefined) throw signal.reason;
    return { events: found.map(({ event }) => event), more, skipped };
  }
}

function eventOf(line: string): CloudEvent | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isCloudEvent(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
