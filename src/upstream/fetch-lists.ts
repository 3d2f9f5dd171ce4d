import type { JsonObject, Lists } from "../call.ts";
import { messageOf } from "../errors.ts";
import { now, sleep } from "../time.ts";
import type { Connection, ListName } from "./connection.ts";

/** What of an upstream's lists is taken. */
export type Accept = <Name extends ListName>(
  list: Name,
  items: Lists[Name],
) => Promise<Lists[Name]>;

export const noLists: Lists = { tools: [], prompts: [], resources: [], resourceTemplates: [] };

/** Which lists a notification says have changed. */
export const changedLists: Readonly<Record<string, readonly ListName[]>> = {
  "notifications/tools/list_changed": ["tools"],
  "notifications/prompts/list_changed": ["prompts"],
  "notifications/resources/list_changed": ["resources", "resourceTemplates"],
};

/** Fetches all lists. Rejects where the tools cannot be had; another list that cannot is empty and told. */
export async function fetchAll(
  connection: Connection,
  accept: Accept,
  timeoutMs: number,
  onProblem: (problem: string) => void,
): Promise<Lists> {
  const fetch = async <Name extends ListName>(name: Name): Promise<Lists[Name]> =>
    accept(name, await connection.list(name, timeoutMs));
  const attempt = (name: ListName): Promise<readonly JsonObject[]> =>
    fetch(name).catch((error: unknown) => {
      onProblem(`did not list its ${name}: ${messageOf(error)}`);
      return [];
    });
  const [tools, prompts, resources, resourceTemplates] = await Promise.all([
    fetch("tools"),
    attempt("prompts"),
    attempt("resources"),
    attempt("resourceTemplates"),
  ]);
  return { tools, prompts, resources, resourceTemplates };
}

/** Milliseconds between two fetches, at least, however often a server says that it changed. */
const interval = 250;

/** Fetches lists anew when they changed: once at a time, and not more often than `interval` allows. */
export class Refresh {
  readonly #connection: Connection;
  readonly #accept: Accept;
  readonly #timeoutMs: number;
  readonly #onLists: (lists: Partial<Lists>) => void;
  readonly #onProblem: (problem: string) => void;
  readonly #dirty = new Set<ListName>();
  #running = false;

  constructor(
    connection: Connection,
    accept: Accept,
    timeoutMs: number,
    listeners: {
      readonly lists: (lists: Partial<Lists>) => void;
      readonly problem: (problem: string) => void;
    },
  ) {
    this.#connection = connection;
    this.#accept = accept;
    this.#timeoutMs = timeoutMs;
    this.#onLists = listeners.lists;
    this.#onProblem = listeners.problem;
  }

  /** Some lists have changed. */
  changed(names: readonly ListName[]): void {
    for (const name of names) this.#dirty.add(name);
    if (this.#running) return;
    this.#running = true;
    void this.#run().finally(() => (this.#running = false));
  }

  async #run(): Promise<void> {
    while (this.#dirty.size > 0) {
      const names = [...this.#dirty];
      this.#dirty.clear();
      const begun = now();
      /* oxlint-disable no-await-in-loop -- once at a time is the point */
      try {
        const lists = await Promise.all(names.map((name) => this.#fetch(name)));
        this.#onLists(Object.fromEntries(lists));
      } catch (error) {
        this.#onProblem(`said that it changed but did not list what: ${messageOf(error)}`);
      }
      await sleep(Math.max(0, begun + interval - now()));
      /* oxlint-enable no-await-in-loop */
    }
  }

  async #fetch(name: ListName): Promise<[ListName, readonly JsonObject[]]> {
    return [name, await this.#accept(name, await this.#connection.list(name, this.#timeoutMs))];
  }
}
