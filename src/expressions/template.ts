import { ExpressionError, LimitReached, placed } from "./error.ts";
import type { Place } from "./error.ts";
import { compilePart } from "./expression.ts";
import type { Expression, Part, Values } from "./expression.ts";
import { Meter, maxValueDepth } from "./limits.ts";
import { piecesOf } from "./scan.ts";
import { toText } from "./values.ts";

type Options = Pick<Place, "scope" | "where">;

/** JSON with expressions in its strings, compiled. */
export interface Template {
  /** The top-level names that are used. */
  readonly uses: readonly string[];
  /** In the order in which they stand in the template. */
  readonly expressions: readonly Expression[];
  /** The expression of which a text is made and of nothing else, so that its value keeps its kind. */
  readonly whole: Expression | undefined;
  /** The JSON with the values in it; parts of it can be parts of `values`. Throws ExpressionError. */
  readonly evaluate: (values: Values) => unknown;
}

/** Builds a part of the result; undefined stands for a part without expressions, which stays as it is. */
type Build = (values: Values, meter: Meter) => unknown;

interface Compiling extends Options {
  readonly parts: Part[];
  /** Takes an error, and throws it where the first is enough. */
  readonly failed: (error: ExpressionError) => void;
}

/**
 * Compiles JSON with `${{ … }}` in its strings, at any depth, but not in keys.
 *
 * A string that is one expression becomes its value, of whatever kind. In a longer string a value
 * becomes text: a string as it is, null nothing, everything else JSON. `$${{` is the text `${{`.
 * Throws the first ExpressionError.
 */
export function compileTemplate(template: unknown, { scope, where }: Options): Template {
  const parts: Part[] = [];
  const build = compileValue(template, "", 0, { scope, where, parts, failed: fail });
  const uses = [...new Set(parts.flatMap(({ reads }) => reads.map(({ names }) => names[0] ?? "")))];
  const evaluate = (values: Values): unknown =>
    build === undefined ? template : build(values, new Meter());
  const [only] = parts;
  const whole = only !== undefined && build === only.runWith ? only : undefined;
  return { uses, expressions: parts, whole, evaluate };
}

const fail = (error: ExpressionError): void => {
  throw error;
};

/** All that is wrong with a template. */
export function checkTemplate(
  template: unknown,
  { scope, where }: Options,
): readonly ExpressionError[] {
  const errors: ExpressionError[] = [];
  const failed = (error: ExpressionError): void => void errors.push(error);
  compileValue(template, "", 0, { scope, where, parts: [], failed });
  return errors;
}

function compileValue(
  value: unknown,
  path: string,
  depth: number,
  compiling: Compiling,
): Build | undefined {
  if (typeof value === "string") return compileString(value, path, compiling);
  if (typeof value !== "object" || value === null) return undefined;
  if (depth === maxValueDepth) {
    const problem = new LimitReached(`nested more than ${maxValueDepth} levels deep`);
    compiling.failed(new ExpressionError("…", { ...compiling, path }, problem));
    return undefined;
  }
  const entries = Object.entries(value).map(([key, item]: [string, unknown]) => {
    const build = compileValue(item, `${path}/${pointer(key)}`, depth + 1, compiling);
    return { key, build: build ?? (() => item), plain: build === undefined };
  });
  if (entries.every(({ plain }) => plain)) return undefined;
  if (Array.isArray(value))
    return (values, meter) => entries.map(({ build }) => build(values, meter));
  return (values, meter) =>
    Object.fromEntries(entries.map(({ key, build }) => [key, build(values, meter)]));
}

function compileString(string: string, path: string, compiling: Compiling): Build | undefined {
  if (!string.includes("${{")) return undefined;
  const place = { scope: compiling.scope, where: compiling.where, path };
  const pieces = reported(compiling, () => placed(string, place, () => piecesOf(string)));
  const builds = pieces?.map((piece) => {
    if ("text" in piece) return piece.text;
    const part = reported(compiling, () => compilePart(piece.expression, place));
    if (part !== undefined) compiling.parts.push(part);
    return part;
  });
  if (builds === undefined) return undefined;
  const [only] = builds;
  if (builds.length === 1) return typeof only === "string" ? () => only : only?.runWith;
  return (values, meter) =>
    builds
      .map((part) => (typeof part === "string" ? part : textOf(part, place, values, meter)))
      .join("");
}

const textOf = (part: Part | undefined, place: Place, values: Values, meter: Meter): string =>
  part === undefined
    ? ""
    : placed(part.text, place, () => toText(part.runWith(values, meter), meter));

/** What `work` gives; an ExpressionError is reported, and undefined given. */
function reported<T>({ failed }: Compiling, work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    failed(error);
    return undefined;
  }
}

const pointer = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");
