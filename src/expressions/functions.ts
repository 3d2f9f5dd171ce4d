import { Duration } from "./duration.ts";
import { Problem, listed } from "./error.ts";
import type { Meter } from "./limits.ts";
import { finite, fits, moment } from "./operators.ts";
import { kindOf, toText } from "./values.ts";
import type { Kind, Natives } from "./values.ts";

interface Declaration {
  readonly name: string;
  /** Kinds of the arguments; a method's receiver comes first. */
  readonly takes: readonly Kind[];
  readonly gives: Kind;
  readonly call: (meter: Meter, ...values: readonly unknown[]) => unknown;
}

type Called<K extends readonly Kind[]> = (
  meter: Meter,
  ...values: { readonly [I in keyof K]: Natives[K[I]] }
) => unknown;

const declare = <const K extends readonly Kind[]>(
  name: string,
  takes: K,
  gives: Kind,
  call: Called<K>,
): Declaration => ({ name, takes, gives, call: call as unknown as Declaration["call"] });

const size = [
  declare("size", ["string"], "number", (meter, text) => {
    meter.spendText(text.length);
    return characters(text);
  }),
  declare("size", ["list"], "number", (_, list) => list.length),
  declare("size", ["object"], "number", (meter, object) => {
    const { length } = Object.keys(object);
    meter.spend(length);
    return length;
  }),
];

const functions: readonly Declaration[] = [
  ...size,
  declare("string", ["any"], "string", (meter, value) => toText(value, meter)),
  declare("int", ["number"], "number", (_, value) => Math.trunc(value)),
  declare("int", ["string"], "number", (_, text) => Math.trunc(numberIn(text))),
  declare("double", ["number"], "number", (_, value) => value),
  declare("double", ["string"], "number", (_, text) => numberIn(text)),
  declare("bool", ["boolean"], "boolean", (_, value) => value),
  declare("bool", ["string"], "boolean", (_, text) => booleanIn(text)),
  declare("dyn", ["any"], "any", (_, value) => value),
  declare("timestamp", ["string"], "timestamp", (_, text) => timestampIn(text)),
  declare("timestamp", ["number"], "timestamp", (_, seconds) => moment(seconds * 1000)),
  declare("timestamp", ["timestamp"], "timestamp", (_, time) => time),
  declare("duration", ["string"], "duration", (_, text) => Duration.parse(text)),
  declare("duration", ["duration"], "duration", (_, duration) => duration),
];

const methods: readonly Declaration[] = [
  ...size,
  declare("contains", ["string", "string"], "boolean", (meter, text, part) => {
    meter.spendSearch(text, part);
    return text.includes(part);
  }),
  declare("startsWith", ["string", "string"], "boolean", (meter, text, part) => {
    meter.spendText(part.length);
    return text.startsWith(part);
  }),
  declare("endsWith", ["string", "string"], "boolean", (meter, text, part) => {
    meter.spendText(part.length);
    return text.endsWith(part);
  }),
  declare("indexOf", ["string", "string"], "number", (meter, text, part) => {
    meter.spendSearch(text, part);
    return indexIn(text, text.indexOf(part));
  }),
  declare("indexOf", ["string", "string", "number"], "number", (meter, text, part, from) => {
    meter.spendSearch(text, part);
    return indexIn(text, text.indexOf(part, offset(text, from)));
  }),
  declare("lastIndexOf", ["string", "string"], "number", (meter, text, part) => {
    meter.spendSearch(text, part);
    return indexIn(text, text.lastIndexOf(part));
  }),
  declare("substring", ["string", "number"], "string", (meter, text, start) => {
    meter.spendText(text.length);
    return text.slice(offset(text, start));
  }),
  declare("substring", ["string", "number", "number"], "string", (meter, text, start, end) => {
    meter.spendText(text.length);
    if (end < start) throw new Problem("the end is before the start");
    return text.slice(offset(text, start), offset(text, end));
  }),
  declare("lowerAscii", ["string"], "string", (meter, text) => {
    meter.spend(text.length);
    return text.replace(/[A-Z]+/g, (part) => part.toLowerCase());
  }),
  declare("upperAscii", ["string"], "string", (meter, text) => {
    meter.spend(text.length);
    return text.replace(/[a-z]+/g, (part) => part.toUpperCase());
  }),
  declare("trim", ["string"], "string", (meter, text) => {
    meter.spendText(text.length);
    return text.trim();
  }),
  declare("split", ["string", "string"], "list", (meter, text, separator) => {
    meter.spendSearch(text, separator);
    const parts = text.split(separator, meter.left + 1);
    meter.spend(parts.length);
    return parts;
  }),
  declare("join", ["list"], "string", (meter, list) => join(meter, list, "")),
  declare("join", ["list", "string"], "string", join),
  declare("getFullYear", ["timestamp"], "number", (_, time) => time.getUTCFullYear()),
  declare("getMonth", ["timestamp"], "number", (_, time) => time.getUTCMonth()),
  declare("getDate", ["timestamp"], "number", (_, time) => time.getUTCDate()),
  declare("getDayOfMonth", ["timestamp"], "number", (_, time) => time.getUTCDate() - 1),
  declare("getDayOfWeek", ["timestamp"], "number", (_, time) => time.getUTCDay()),
  declare("getHours", ["timestamp"], "number", (_, time) => time.getUTCHours()),
  declare("getMinutes", ["timestamp"], "number", (_, time) => time.getUTCMinutes()),
  declare("getSeconds", ["timestamp"], "number", (_, time) => time.getUTCSeconds()),
  declare("getMilliseconds", ["timestamp"], "number", (_, time) => time.getUTCMilliseconds()),
  declare("getHours", ["duration"], "number", (_, { ms }) => Math.trunc(ms / 3_600_000)),
  declare("getMinutes", ["duration"], "number", (_, { ms }) => Math.trunc(ms / 60_000)),
  declare("getSeconds", ["duration"], "number", (_, { ms }) => Math.trunc(ms / 1000)),
  declare("getMilliseconds", ["duration"], "number", (_, { ms }) => Math.trunc(ms)),
  declare("hasValue", ["optional"], "boolean", (_, { value }) => value !== undefined),
  declare("value", ["optional"], "any", (_, { value }) => {
    if (value === undefined) throw new Problem("the optional value is not there");
    return value;
  }),
];

interface Resolved {
  readonly gives: Kind;
  readonly call: (values: readonly unknown[], meter: Meter) => unknown;
}

/** The function or method for arguments of these kinds. Throws where there is none. */
export function resolve(
  what: "function" | "method",
  name: string,
  kinds: readonly Kind[],
): Resolved {
  const all = what === "function" ? functions : methods;
  const named = all.filter((declaration) => declaration.name === name);
  if (name === "matches") throw new Problem(noMatches);
  if (named.length === 0)
    throw new Problem(
      `no ${what} ${name}; there are ${listed([...new Set(all.map((one) => one.name))])}`,
    );
  const candidates = named.filter((declaration) => accepts(declaration, kinds));
  const [only] = candidates;
  if (only === undefined) throw new Problem(mismatch(name, kinds, named));
  const gives = candidates.every((one) => one.gives === only.gives) ? only.gives : "any";
  return {
    gives,
    call: (values, meter) => {
      const actual = values.map(kindOf);
      const chosen = candidates.find((declaration) => accepts(declaration, actual));
      if (chosen === undefined) throw new Problem(mismatch(name, actual, named));
      return chosen.call(meter, ...values);
    },
  };
}

const noMatches =
  "matches is not supported: a regular expression can run without end; use contains, startsWith, endsWith or split";

const accepts = ({ takes }: Declaration, kinds: readonly Kind[]): boolean =>
  takes.length === kinds.length && takes.every((kind, index) => fits(kinds[index] ?? "any", kind));

const mismatch = (name: string, got: readonly Kind[], named: readonly Declaration[]): string =>
  `${name} takes (${named.map(({ takes }) => takes.join(", ")).join(") or (")}), got (${got.join(", ")})`;

/** Code points, as CEL counts characters. */
function characters(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** The index in code points for one in UTF-16 units; -1 stays. */
const indexIn = (text: string, index: number): number =>
  index < 0 ? index : characters(text.slice(0, index));

/** The index in UTF-16 units for one in code points. */
function offset(text: string, index: number): number {
  let at = 0;
  let count = 0;
  for (const character of text) {
    if (count === index) return at;
    at += character.length;
    count += 1;
  }
  if (count === index) return at;
  throw new Problem(`index ${index} is outside of a text of ${count} characters`);
}

function join(meter: Meter, list: readonly unknown[], separator: string): string {
  meter.spend(list.length);
  for (const item of list) {
    if (typeof item !== "string") throw new Problem(`join takes strings, got ${kindOf(item)}`);
    meter.spendText(item.length + separator.length);
  }
  return list.join(separator);
}

function numberIn(text: string): number {
  if (text === "" || text.length > 400 || !/^[-+\d.eE]+$/.test(text) || Number.isNaN(Number(text)))
    throw new Problem("the text is no number");
  return finite(Number(text));
}

function booleanIn(text: string): boolean {
  if (["true", "True", "TRUE", "t", "1"].includes(text)) return true;
  if (["false", "False", "FALSE", "f", "0"].includes(text)) return false;
  throw new Problem('the text is neither "true" nor "false"');
}

function timestampIn(text: string): Date {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.test(text))
    throw new Problem('not a timestamp; write one as "2026-01-31T12:00:00Z"');
  return moment(Date.parse(text));
}
