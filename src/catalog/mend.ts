import * as z from "zod";
import type { JsonObject } from "../call.ts";
import { isObject } from "../wire.ts";

/**
 * What of a value can stay: the very value where nothing is wrong with it, undefined where nothing can. What is
 * left out is added to `problems`; `path` says where the value is, and is empty for a whole item.
 */
export type Mend = (value: unknown, path: string, problems: string[]) => unknown;

/** A value that passes a test, or nothing. */
const checked =
  (expected: string, test: (value: unknown) => boolean): Mend =>
  (value, path, problems) =>
    test(value) ? value : leftOut(expected, value, path, problems);

export const text = checked("a string", (value) => typeof value === "string");
export const label = checked("a text", (value) => typeof value === "string" && value !== "");
export const flag = checked("true or false", (value) => typeof value === "boolean");
export const number = checked("a number", (value) => typeof value === "number");
export const fraction = checked(
  "a number from 0 to 1",
  (value) => typeof value === "number" && value >= 0 && value <= 1,
);
export const time = checked(
  "a date with time and zone",
  (value) => z.iso.datetime({ offset: true }).safeParse(value).success,
);
export const oneOf = (...values: readonly unknown[]): Mend =>
  checked(values.join(" or "), (value) => values.includes(value));

/** A list, less the items of which nothing can stay. */
export const listOf =
  (item: Mend): Mend =>
  (value, path, problems) => {
    if (!Array.isArray(value)) return leftOut("a list", value, path, problems);
    const list: readonly unknown[] = value;
    const mended = list.map((one, index) => item(one, `${path}[${index}]`, problems));
    const same = mended.every((one, index) => one === list[index]);
    return same ? list : mended.filter((one) => one !== undefined);
  };

/** An object with any keys, less the members of which nothing can stay. */
export const mapOf =
  (member: Mend): Mend =>
  (value, path, problems) =>
    isObject(value)
      ? withMended(value, () => member, path, problems)
      : leftOut("an object", value, path, problems);

/**
 * An object, less the members of which nothing can stay; members that are not named here stay as they are.
 * Nothing of it can without each of the `needed`.
 */
export function objectOf(
  members: Readonly<Record<string, Mend>>,
  needed: Readonly<Record<string, Mend>> = {},
): Mend {
  const mends = new Map(Object.entries(members));
  const mendOf = (key: string): Mend | undefined => mends.get(key);
  return (value, path, problems) => {
    if (!isObject(value)) return leftOut("an object", value, path, problems);
    for (const [key, mend] of Object.entries(needed))
      if (mend(value[key], key, []) === undefined)
        return leftOut(`a ${key}`, value[key], path, problems);
    return withMended(value, mendOf, path, problems);
  };
}

function withMended(
  object: JsonObject,
  mendOf: (key: string) => Mend | undefined,
  path: string,
  problems: string[],
): JsonObject {
  const mended = Object.entries(object).map(([key, value]) => {
    const mend = mendOf(key);
    const place = path === "" ? `its ${key}` : `${path}.${key}`;
    return [key, mend === undefined ? value : mend(value, place, problems)] as const;
  });
  return mended.every(([key, value]) => value === object[key])
    ? object
    : Object.fromEntries(mended.filter(([, value]) => value !== undefined));
}

/** Tells that nothing of a value can stay. */
export function leftOut(
  expected: string,
  value: unknown,
  path: string,
  problems: string[],
): undefined {
  problems.push(`${path} is left out: expected ${expected}, got ${shown(value)}`.trimStart());
}

/** A value in a message. */
export const shown = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, 60);
