import * as z from "zod";
import { entriesOf } from "./json-value.ts";
import { laterKeys } from "./later.ts";
import { nearKey } from "./near-key.ts";
import { showPath } from "./problems.ts";
import type { Finding, Path } from "./problems.ts";
import { configFile, serverEntry } from "./schema.ts";
import { objectIn, schemaUnder } from "./walk.ts";

/** Keys of clients and people that mean nothing here and are no slip of the pen, however near to one of ours. */
const foreign = new Map<z.ZodObject, readonly string[]>([
  [configFile, ["name"]],
  [serverEntry, ["tags", "dev", "gallery", "version", "comment", "cmd", "auto"]],
]);

interface UnknownKey {
  readonly key: string;
  /** Of the object that has the key. */
  readonly parent: Path;
  readonly object: z.ZodObject;
}

interface KeyFindings {
  /** Keys that are nearly one of ours. */
  readonly problems: readonly Finding[];
  /** Keys that are ignored. */
  readonly warnings: readonly Finding[];
}

/** What there is to say about the keys in `root` that the schema does not have. */
export function checkKeys(root: unknown): KeyFindings {
  const problems: Finding[] = [];
  const coming: UnknownKey[] = [];
  const ignored: UnknownKey[] = [];
  for (const unknown of unknownKeys(configFile, root, [])) {
    const { key, parent, object } = unknown;
    const near = nearKey(key, [...Object.keys(object.shape), ...(laterKeys.get(object) ?? [])]);
    if (laterKeys.get(object)?.includes(key)) coming.push(unknown);
    else if (foreign.get(object)?.includes(key)) continue;
    else if (near !== undefined) {
      const message = `unknown key; did you mean "${near}"?`;
      problems.push({ path: [...parent, key], message });
    }
    // A loose object, such as the annotations of MCP, takes any key.
    else if (object.def.catchall === undefined) ignored.push(unknown);
  }
  return {
    problems,
    warnings: [
      ...grouped(coming, ({ key }) => key).map(comingWarning),
      ...grouped(ignored, ({ parent }) => showPath(parent)).map(ignoredWarning),
    ],
  };
}

function unknownKeys(schema: z.core.$ZodType, value: unknown, path: Path): UnknownKey[] {
  const object = objectIn(schema);
  return entriesOf(value).flatMap(([key, inner]) => {
    const under = schemaUnder(schema, key);
    if (under !== undefined) return unknownKeys(under, inner, [...path, key]);
    if (object === undefined || typeof key === "number" || isStrict(object)) return [];
    return [{ key, parent: path, object }];
  });
}

/** Whether the schema itself refuses keys that it does not have. */
const isStrict = ({ def }: z.ZodObject): boolean => def.catchall instanceof z.ZodNever;

/** One warning for a coming key, however often it stands in the file. */
function comingWarning(group: Group<UnknownKey>): Finding {
  const [{ key, parent }, ...others] = group;
  const often = others.length > 0 ? ` (here and ${others.length} times below)` : "";
  const message = `this version of Holdfast does not know this key yet and ignores it${often}`;
  return { path: [...parent, key], message };
}

/** One warning for an object, however many keys it has that are not ours. */
function ignoredWarning(group: Group<UnknownKey>): Finding {
  const [{ key, parent }, ...others] = group;
  const more = others.map((other) => JSON.stringify(other.key));
  const rest = more.length > 0 ? `; so are ${more.join(", ")} beside it` : "";
  return { path: [...parent, key], message: `unknown key, ignored${rest}` };
}

type Group<T> = [T, ...T[]];

/** The items of each id, in the order in which the ids come. */
function grouped<T>(items: readonly T[], idOf: (item: T) => string): Group<T>[] {
  const groups = new Map<string, Group<T>>();
  for (const item of items) {
    const group = groups.get(idOf(item));
    if (group === undefined) groups.set(idOf(item), [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
