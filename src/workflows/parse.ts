import type { z } from "zod";
import { valueAt } from "../config/json-value.ts";
import { shapeFindings } from "../config/shape.ts";
import { checkShape, type Findings } from "./check-shape.ts";
import { chain, saga } from "./definition.ts";
import type { Program } from "./program.ts";
import type { RunKind } from "./run-store.ts";

/** What `written` says, compiled, and all that can be told of it without knowing any tool. Never throws. */
export function parseDefinition(
  written: unknown,
  kind: RunKind,
): Findings & { readonly program?: Program } {
  const schema = kind === "chain" ? chain : saga;
  try {
    const parsed = schema.safeParse(written);
    if (parsed.data !== undefined) return checkShape(parsed.data, kind);
    const { issues } = parsed.error;
    const problems = issues.flatMap((issue) => shapeFindings(issue, written, schema));
    // Keys that are unknown hide nothing of what else there is to say.
    const known = schema.safeParse(withoutKeys(written, issues)).data;
    if (known === undefined) return { problems, warnings: [] };
    const { program, ...more } = checkShape(known, kind);
    return { program, problems: [...problems, ...more.problems], warnings: more.warnings };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { problems: [{ path: [], message: "is nested too deeply" }], warnings: [] };
  }
}

/** The same without the keys that the schema does not know. */
function withoutKeys(written: unknown, issues: readonly z.core.$ZodIssue[]): unknown {
  const copy = structuredClone(written);
  for (const issue of issues)
    if (issue.code === "unrecognized_keys") {
      const object = valueAt(copy, issue.path as (string | number)[]);
      for (const key of issue.keys) delete (object as Record<string, unknown>)[key];
    }
  return copy;
}
