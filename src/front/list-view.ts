import type { Catalog } from "../catalog/catalog.ts";
import type { Gateway } from "../gateway.ts";
import { after, now, type Timer } from "../time.ts";

/** Milliseconds between two notices of change to one client, at least. */
const noticeInterval = 1000;
/** Milliseconds in which changes that come together become one notice. */
const gather = 50;

/** The lists that clients can ask for, by method. */
const listOf = {
  "tools/list": (catalog: Catalog) => ({ tools: definitions(catalog.tools.values()) }),
  "prompts/list": (catalog: Catalog) => ({ prompts: definitions(catalog.prompts.values()) }),
  "resources/list": (catalog: Catalog) => ({ resources: definitions(catalog.resources) }),
  "resources/templates/list": (catalog: Catalog) => ({
    resourceTemplates: definitions(catalog.resourceTemplates),
  }),
} as const;

export type ListMethod = keyof typeof listOf;

/** Which notification tells a change of each list. */
const noticeOf: Readonly<Record<ListMethod, string>> = {
  "tools/list": "notifications/tools/list_changed",
  "prompts/list": "notifications/prompts/list_changed",
  "resources/list": "notifications/resources/list_changed",
  "resources/templates/list": "notifications/resources/list_changed",
};

const definitions = (items: Iterable<{ readonly definition: object }>): object[] =>
  Array.from(items, ({ definition }) => definition);

export const isListMethod = (method: string): method is ListMethod => Object.hasOwn(listOf, method);

/** The lists as one client knows them: kept as text, and told when their content changed. */
export class ListView {
  readonly #gateway: Gateway;
  readonly #tell: (method: string) => void;
  /** The lists now, until the catalog changes. */
  readonly #texts = new Map<ListMethod, string>();
  /** What the client was last sent, or told to have changed. */
  readonly #known = new Map<ListMethod, string>();
  #toldAt = -Infinity;
  #timer: Timer | undefined;

  constructor(gateway: Gateway, tell: (method: string) => void) {
    this.#gateway = gateway;
    this.#tell = tell;
  }

  /** A list's result as JSON. */
  text(method: ListMethod): string {
    const text = this.#current(method);
    this.#known.set(method, text);
    return text;
  }

  /** The catalog may have changed. */
  changed(): void {
    this.#texts.clear();
    const wait = Math.max(gather, this.#toldAt + noticeInterval - now());
    this.#timer ??= after(wait, () => this.#compare());
  }

  close(): void {
    this.#timer?.clear();
  }

  #current(method: ListMethod): string {
    const text = this.#texts.get(method) ?? JSON.stringify(listOf[method](this.#gateway.catalog));
    this.#texts.set(method, text);
    return text;
  }

  #compare(): void {
    this.#timer = undefined;
    const notices = new Set<string>();
    for (const [method, known] of this.#known) {
      const text = this.#current(method);
      if (text === known) continue;
      this.#known.set(method, text);
      notices.add(noticeOf[method]);
    }
    if (notices.size > 0) this.#toldAt = now();
    for (const notice of notices) this.#tell(notice);
  }
}
