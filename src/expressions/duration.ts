import { Problem } from "./error.ts";

const units: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  ns: 1e-6,
};

const part = /(\d{1,12}(?:\.\d{1,9})?)(h|ms|us|µs|ns|m|s)/y;

/** A span of time. */
export class Duration {
  readonly ms: number;

  constructor(ms: number) {
    this.ms = ms;
  }

  /** Reads text such as `1h30m` or `-1.5s`. */
  static parse(text: string): Duration {
    const sign = text.startsWith("-") ? -1 : 1;
    let at = /^[+-]/.test(text) ? 1 : 0;
    let ms = 0;
    // A longer text is no duration that somebody means.
    if (at === text.length || text.length > 64) throw notOne();
    while (at < text.length) {
      part.lastIndex = at;
      const [all, amount, unit = ""] = part.exec(text) ?? [];
      if (all === undefined) throw notOne();
      ms += Number(amount) * (units[unit] ?? 0);
      at += all.length;
    }
    return new Duration(sign * ms);
  }

  valueOf(): number {
    return this.ms;
  }

  /** In seconds, such as `1.5s`, as CEL writes durations in JSON. */
  toString(): string {
    return `${(this.ms / 1000).toFixed(9).replace(/\.?0+$/, "")}s`;
  }
}

const notOne = (): Problem => new Problem('not a duration; write one as "1h30m" or "1.5s"');
