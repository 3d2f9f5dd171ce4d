import { Duration } from "./duration.ts";
import { LimitReached } from "./error.ts";
import { maxValueDepth } from "./limits.ts";
import type { Meter } from "./limits.ts";

/** What each kind of value is in JavaScript. */
export interface Natives {
  number: number;
  string: string;
  boolean: boolean;
  null: null;
  list: readonly unknown[];
  object: Readonly<Record<string, unknown>>;
  timestamp: Date;
  duration: Duration;
  optional: Optional;
  any: unknown;
}

/** The kind of a value; `any` where it is known only when the expression runs. */
export type Kind = keyof Natives;

/** What `a.?b` gives: a value, or none where it is undefined. */
export class Optional {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }
}

/** What an optional holds, null where it is none; any other value as it is. */
export const unwrap = (value: unknown): unknown =>
  value instanceof Optional ? unwrap(value.value ?? null) : value;

export function kindOf(value: unknown): Exclude<Kind, "any"> {
  if (value === null || value === undefined) return "null";
  if (typeof value !== "object") return typeof value as "number" | "string" | "boolean";
  if (Array.isArray(value)) return "list";
  if (value instanceof Date) return "timestamp";
  if (value instanceof Duration) return "duration";
  if (value instanceof Optional) return "optional";
  return "object";
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  kindOf(value) === "object";

/** The own member `key`; undefined where there is none. */
export const member = (object: Record<string, unknown>, key: string): unknown =>
  Object.hasOwn(object, key) ? object[key] : undefined;

/** A copy of `value` in which all is JSON: a timestamp and a duration as text, an absent optional as null. */
export function toJson(value: unknown, meter: Meter, depth = 0): unknown {
  meter.spend(1);
  if (typeof value === "string") meter.spendText(value.length);
  if (typeof value !== "object" || value === null) return value ?? null;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Duration) return value.toString();
  if (depth === maxValueDepth) throw tooDeep();
  if (value instanceof Optional) return toJson(value.value, meter, depth + 1);
  if (Array.isArray(value)) return value.map((item) => toJson(item, meter, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      meter.spend(1 + key.length / 16);
      return [key, toJson(item, meter, depth + 1)];
    }),
  );
}

/** `value` as part of a text: a string as it is, null as nothing, everything else as JSON. */
export function toText(value: unknown, meter: Meter): string {
  const json = typeof value === "string" ? value : toJson(value, meter);
  const text = typeof json === "string" ? json : json === null ? "" : JSON.stringify(json);
  meter.spendText(text.length);
  return text;
}

/** Whether two values are the same JSON; values of different kinds are not. */
export function equal(a: unknown, b: unknown, meter: Meter, depth = 0): boolean {
  meter.spend(1);
  if (typeof a === "string" && typeof b === "string" && a.length === b.length)
    meter.spendText(a.length);
  if (a === b) return true;
  const kind = kindOf(a);
  if (kind !== kindOf(b)) return false;
  if (depth === maxValueDepth) throw tooDeep();
  switch (kind) {
    case "list":
      return equalLists(a as unknown[], b as unknown[], meter, depth + 1);
    case "object":
      return equalObjects(a as Natives["object"], b as Natives["object"], meter, depth + 1);
    case "timestamp":
    case "duration":
      return Number(a) === Number(b);
    case "optional":
      return equal((a as Optional).value, (b as Optional).value, meter, depth + 1);
    default:
      return kind === "null";
  }
}

const equalLists = (
  a: readonly unknown[],
  b: readonly unknown[],
  meter: Meter,
  depth: number,
): boolean =>
  a.length === b.length && a.every((item, index) => equal(item, b[index], meter, depth));

function equalObjects(
  a: Natives["object"],
  b: Natives["object"],
  meter: Meter,
  depth: number,
): boolean {
  const keys = Object.keys(a);
  const { length } = Object.keys(b);
  meter.spend(keys.length + length);
  return (
    keys.length === length &&
    keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key], meter, depth))
  );
}

const tooDeep = (): LimitReached =>
  new LimitReached(`a value is nested more than ${maxValueDepth} levels deep`);
