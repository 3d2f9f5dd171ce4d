import type { z } from "zod";
import type { Finding } from "../config/problems.ts";
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
    return {
      problems: issues.flatMap((issue) => findingsOf(issue, written, schema)),
      warnings: [],
    };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { problems: [{ path: [], message: "is nested too deeply" }], warnings: [] };
  }
}

const findingsOf = (issue: z.core.$ZodIssue, written: unknown, schema: z.ZodType): Finding[] =>
  shapeFindings(issue, written, schema);
