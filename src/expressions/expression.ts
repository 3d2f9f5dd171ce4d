import { createRequire } from "node:module";
import type { ASTNode, Environment, ParseError } from "@marcbachmann/cel-js";
import type { Frame, Read } from "./code.ts";
import { compileTree } from "./compile.ts";
import { ExpressionError, Problem, placed } from "./error.ts";
import type { Place } from "./error.ts";
import {
  Meter,
  maxExpressionDepth,
  maxExpressionLength,
  maxExpressionNodes,
  maxLiteralSize,
} from "./limits.ts";
import { piecesOf } from "./scan.ts";
import { toJson, unwrap } from "./values.ts";
import type { Kind } from "./values.ts";

/** Values by top-level name. What is JSON in them is never changed. */
export type Values = Readonly<Record<string, unknown>>;

/** A compiled expression. */
export interface Expression {
  /** As it was written, without `${{ }}`. */
  readonly text: string;
  /** JSON pointer to the string that holds it. */
  readonly path: string;
  /** The kind of its value as far as it is known before it runs. */
  readonly kind: Kind;
  /** The paths that it reads. */
  readonly reads: readonly Read[];
  /** Its value, as JSON; parts of it can be parts of `values`. Throws ExpressionError. */
  readonly evaluate: (values: Values) => unknown;
}

/** An expression that can run within the limits of a greater whole. */
export interface Part extends Expression {
  readonly runWith: (values: Values, meter: Meter) => unknown;
}

const require = createRequire(import.meta.url);

/**
 * cel-js parses. What a tree means is ours (compile.ts): numbers are JSON's, every step is counted,
 * and keys of JSON such as `constructor` are keys. Loaded when first needed: most configs have no expressions.
 */
interface Parser {
  readonly environment: Environment;
  readonly ParseError: typeof ParseError;
}

let parser: Parser | undefined;

function loadParser(): Parser {
  const cel = require("@marcbachmann/cel-js") as typeof import("@marcbachmann/cel-js");
  const environment = new cel.Environment({
    enableOptionalTypes: true,
    limits: {
      maxAstNodes: maxExpressionNodes,
      maxDepth: maxExpressionDepth,
      maxListElements: maxLiteralSize,
      maxMapEntries: maxLiteralSize,
    },
  });
  return { environment, ParseError: cel.ParseError };
}

/** Compiles one expression, bare or within `${{ }}`, such as a condition. Throws ExpressionError. */
export function compileExpression(
  text: string,
  { scope, where }: Pick<Place, "scope" | "where">,
): Expression {
  const place = { scope, where, path: "" };
  const trimmed = text.trim();
  if (!trimmed.startsWith("${{")) return compilePart(text, place);
  const [only, ...others] = placed(text, place, () => piecesOf(trimmed));
  if (only !== undefined && "expression" in only && others.length === 0)
    return compilePart(only.expression, place);
  throw new ExpressionError(text, place, new Problem("is to be one expression and nothing else"));
}

/** Compiles what stands between `${{` and `}}`. */
export function compilePart(written: string, place: Place): Part {
  const text = written.trim();
  return placed(text, place, () => {
    const { code, reads, slots } = compileTree(parse(text), place.scope);
    const { run, borrowed, kind } = code;
    const inside = (values: Values, meter: Meter): unknown => {
      const frame: Frame = { values, meter, locals: Array.from({ length: slots }) };
      const value = run(frame);
      return borrowed ? unwrap(value) : toJson(value, meter);
    };
    const runWith = (values: Values, meter: Meter): unknown =>
      placed(text, place, () => inside(values, meter));
    const evaluate = (values: Values): unknown => runWith(values, new Meter());
    return { text, path: place.path, kind, reads, evaluate, runWith };
  });
}

function parse(text: string): ASTNode {
  if (text === "") throw new Problem("an empty expression");
  if (text.length > maxExpressionLength)
    throw new Problem(`an expression of more than ${maxExpressionLength} characters`);
  parser ??= loadParser();
  try {
    return parser.environment.parse(text).ast;
  } catch (error) {
    if (!(error instanceof parser.ParseError)) throw error;
    throw new Problem(error.summary, error.range?.start, error);
  }
}
