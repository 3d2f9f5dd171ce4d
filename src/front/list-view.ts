import type { JsonObject } from "../call.ts";
import type { Catalog } from "../catalog/catalog.ts";
import type { Gateway } from "../gateway.ts";
import { after, now, type Timer } from "../time.ts";
import { toJson } from "../wire.ts";

/** Milliseconds between two notices of change to one client, at least. */
const noticeInterval = 1000;
/** Milliseconds in which changes that come together become one notice. */
const gather = 50;

/** The lists that clients can ask for, by method: the member of the catalog, which is that of the result too. */
const memberOf = {
  "tools/list": "tools",
  "prompts/list": "prompts",
  "resources/list": "resources",
  "resources/templates/list": "resourceTemplates",
} as const satisfies Record<string, keyof Catalog>;

export type ListMethod = keyof typeof memberOf;

/** Which notification tells a change of each list. */
const noticeOf: Readonly<Record<ListMethod, string>> = {
  "tools/list": "notifications/tools/list_changed",
  "prompts/list": "notifications/prompts/list_changed",
  "resources/list": "notifications/resources/list_changed",
  "resources/templates/list": "notifications/resources/list_changed",
};

export const isListMethod = (method: string): method is ListMethod =>
  Object.hasOwn(memberOf, method);

/** The lists as one client knows them: kept as text, and told when their content changed. */
export class ListView {
  readonly #gateway: Gateway;
  readonly #tell: (method: string) => void;
  readonly #onProblem: (problem: string) => void;
  /** What was told to be left out. */
  readonly #leftOut = new Set<string>();
  /** The lists now, until the catalog changes. */
  readonly #texts = new Map<ListMethod, string>();
  /** What the client was last sent, or told to have changed. */
  readonly #known = new Map<ListMethod, string>();
  #toldAt = -Infinity;
  #timer: Timer | undefined;

  constructor(
    gateway: Gateway,
    tell: (method: string) => void,
    onProblem: (problem: string) => void,
  ) {
    this.#gateway = gateway;
    this.#tell = tell;
    this.#onProblem = onProblem;
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
    const text = this.#texts.get(method) ?? this.#write(method);
    this.#texts.set(method, text);
    return text;
  }

  /** What cannot be written is left out, and told once. */
  #write(method: ListMethod): string {
    const member = memberOf[method];
    const items = [...this.#gateway.catalog[member].values()];
    const whole = toJson({ [member]: items.map(({ definition }) => definition) });
    if (whole !== undefined) return whole;
    const texts = items.flatMap(({ upstream, definition }) => {
      const text = toJson(definition);
      if (text === undefined) this.#leaveOut(`${method} of ${upstream}`, definition);
      return text ?? [];
    });
    return `{"${member}":[${texts.join(",")}]}`;
  }

  #leaveOut(where: string, { name, uri, uriTemplate }: JsonObject): void {
    const what = [name, uri, uriTemplate].find((word) => typeof word === "string");
    const problem = `${String(what)} is left out of ${where}: it is nested too deep to be written`;
    if (this.#leftOut.has(problem)) return;
    this.#leftOut.add(problem);
    this.#onProblem(problem);
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
