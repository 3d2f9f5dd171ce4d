import type { Gateway } from "../gateway.ts";
import { after, now, type Timer } from "../time.ts";

/** Milliseconds between two notices of change to one client, at least. */
const noticeInterval = 1000;
/** Milliseconds in which changes that come together become one notice. */
const gather = 50;

/** The list of tools as one client knows it: kept as text, and told when its content changed. */
export class ToolList {
  readonly #gateway: Gateway;
  readonly #tell: () => void;
  readonly #stop: () => void;
  /** The list now, until the catalog changes. */
  #text: string | undefined;
  /** What the client was last sent, or told to have changed. */
  #known: string | undefined;
  #toldAt = -Infinity;
  #timer: Timer | undefined;

  constructor(gateway: Gateway, tell: () => void) {
    this.#gateway = gateway;
    this.#tell = tell;
    this.#stop = gateway.onChange(() => {
      this.#text = undefined;
      const wait = Math.max(gather, this.#toldAt + noticeInterval - now());
      this.#timer ??= after(wait, () => this.#compare());
    });
  }

  /** The result of `tools/list` as JSON. */
  text(): string {
    return (this.#known = this.#current());
  }

  close(): void {
    this.#stop();
    this.#timer?.clear();
  }

  #current(): string {
    return (this.#text ??= JSON.stringify({
      tools: [...this.#gateway.catalog.values()].map(({ definition }) => definition),
    }));
  }

  #compare(): void {
    this.#timer = undefined;
    const text = this.#current();
    if (this.#known === undefined || text === this.#known) return;
    this.#known = text;
    this.#toldAt = now();
    this.#tell();
  }
}
