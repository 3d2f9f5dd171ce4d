import type { Path } from "./problems.ts";

/** Whether a value is an object, not a list. */
export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What an object or a list holds, by key or position; nothing for any other value. */
export function entriesOf(value: unknown): [string | number, unknown][] {
  if (Array.isArray(value)) return [...value.entries()];
  return isObject(value) ? Object.entries(value) : [];
}

/** What stands at `path` in `root`; undefined where nothing does. */
export const valueAt = (root: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (value, key) => entriesOf(value).find(([candidate]) => candidate === key)?.[1],
    root,
  );
