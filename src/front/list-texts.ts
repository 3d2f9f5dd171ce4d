import type { JsonObject } from "../call.ts";
import type { Catalog } from "../catalog/catalog.ts";
import type { Gateway } from "../gateway.ts";
import { toJson } from "../wire.ts";

/** The lists that clients can ask for, by method: the member of the catalog, which is that of the result too. */
export const memberOf = {
  "tools/list": "tools",
  "prompts/list": "prompts",
  "resources/list": "resources",
  "resources/templates/list": "resourceTemplates",
} as const satisfies Record<string, keyof Catalog>;

export type ListMethod = keyof typeof memberOf;

export const isListMethod = (method: string): method is ListMethod =>
  Object.hasOwn(memberOf, method);

/** The lists as text: each is written once for all who ask, until the catalog changes. */
export class ListTexts {
  readonly #gateway: Gateway;
  readonly #onProblem: (problem: string) => void;
  /** What was told to be left out. */
  readonly #leftOut = new Set<string>();
  readonly #texts = new Map<ListMethod, string>();
  #catalog: Catalog | undefined;

  constructor(gateway: Gateway, onProblem: (problem: string) => void) {
    this.#gateway = gateway;
    this.#onProblem = onProblem;
  }

  /** A list's result as JSON. */
  text(method: ListMethod): string {
    const { catalog } = this.#gateway;
    if (catalog !== this.#catalog) this.#texts.clear();
    this.#catalog = catalog;
    const text = this.#texts.get(method) ?? this.#write(method, catalog);
    this.#texts.set(method, text);
    return text;
  }

  /** What cannot be written is left out, and told once. */
  #write(method: ListMethod, catalog: Catalog): string {
    const member = memberOf[method];
    const items = [...catalog[member].values()];
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
}
