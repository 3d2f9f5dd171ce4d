import type { z } from "zod";
import { valueAt } from "./json-value.ts";
import { showValue } from "./problems.ts";
import type { Finding, Path } from "./problems.ts";
import { nearKey } from "./near-key.ts";
import { expectation, objectIn, schemaUnder } from "./walk.ts";

/** What an issue of zod means in `root`, which was to be as `whole` says: what was expected, and what is there. */
export function shapeFindings(
  issue: z.core.$ZodIssue,
  root: unknown,
  whole: z.core.$ZodType,
  around: Path = [],
): Finding[] {
  const path = [...around, ...issue.path.filter((key) => typeof key !== "symbol")];
  if (issue.code === "invalid_union") {
    // The alternative that fits on the outside is the one that was meant.
    const meant = issue.errors.find((issues) => issues.every((inner) => inner.path.length > 0));
    if (meant !== undefined)
      return meant.flatMap((inner) => shapeFindings(inner, root, whole, path));
  }
  const value = valueAt(root, path);
  if ((issue.code === "too_small" || issue.code === "too_big") && Array.isArray(value)) {
    const bound =
      issue.code === "too_small" ? `at least ${issue.minimum}` : `at most ${issue.maximum}`;
    return [{ path, message: `expected a list of ${bound}, got one of ${value.length}` }];
  }
  if (issue.code === "custom") return [{ path, message: issue.message }];
  const schema = path.reduce<z.core.$ZodType | undefined>(
    (outer, key) => outer && schemaUnder(outer, key),
    whole,
  );
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey(key, schema) }));
  const expected =
    schema === undefined || issue.code === "invalid_format" ? issue.message : expectation(schema);
  return [{ path, message: `expected ${expected}, got ${showValue(value, path)}` }];
}

function unknownKey(key: string, schema: z.core.$ZodType | undefined): string {
  const known = Object.keys((schema && objectIn(schema))?.shape ?? {});
  const near = nearKey(key, known);
  return near === undefined
    ? `unknown key; expected ${known.join(", ")}`
    : `unknown key; did you mean "${near}"?`;
}
