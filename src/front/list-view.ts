import { after, now, type Timer } from "../time.ts";
import type { ListMethod, ListTexts } from "./list-texts.ts";

/** Milliseconds between two notices of change to one client, at least. */
const noticeInterval = 1000;
/** Milliseconds in which changes that come together become one notice. */
const gather = 50;

/** Which notification tells a change of each list. */
const noticeOf: Readonly<Record<ListMethod, string>> = {
  "tools/list": "notifications/tools/list_changed",
  "prompts/list": "notifications/prompts/list_changed",
  "resources/list": "notifications/resources/list_changed",
  "resources/templates/list": "notifications/resources/list_changed",
};

/** The lists as one client knows them, told when their content changed. */
export class ListView {
  readonly #texts: ListTexts;
  readonly #tell: (method: string) => void;
  /** What the client was last sent, or told to have changed. */
  readonly #known = new Map<ListMethod, string>();
  #toldAt = -Infinity;
  #timer: Timer | undefined;

  constructor(texts: ListTexts, tell: (method: string) => void) {
    this.#texts = texts;
    this.#tell = tell;
  }

  /** A list's result as JSON. */
  text(method: ListMethod): string {
    const text = this.#texts.text(method);
    this.#known.set(method, text);
    return text;
  }

  /** The catalog may have changed. */
  changed(): void {
    const wait = Math.max(gather, this.#toldAt + noticeInterval - now());
    this.#timer ??= after(wait, () => this.#compare());
  }

  close(): void {
    this.#timer?.clear();
  }

  #compare(): void {
    this.#timer = undefined;
    const notices = new Set<string>();
    for (const [method, known] of this.#known) {
      const text = this.#texts.text(method);
      if (text === known) continue;
      this.#known.set(method, text);
      notices.add(noticeOf[method]);
    }
    if (notices.size > 0) this.#toldAt = now();
    for (const notice of notices) this.#tell(notice);
  }
}
