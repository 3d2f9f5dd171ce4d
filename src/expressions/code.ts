import type { ASTNode } from "@marcbachmann/cel-js";
import type { Problem } from "./error.ts";
import type { Meter } from "./limits.ts";
import type { Kind } from "./values.ts";

/** One evaluation. */
export interface Frame {
  readonly values: Readonly<Record<string, unknown>>;
  readonly meter: Meter;
  /** Values of the variables of macros, by slot. */
  readonly locals: unknown[];
}

/** A compiled part of an expression. */
export interface Code {
  readonly run: (frame: Frame) => unknown;
  readonly kind: Kind;
  /** Whether its value is a part of what came in: JSON, and no larger than that. */
  readonly borrowed: boolean;
  /** Where it is a path from a top-level name: the path, which grows as the path goes on. */
  readonly read?: Growing | undefined;
}

/** A path that an expression reads, such as `steps.order.result.id`. */
export interface Read {
  /** The top-level name and the keys after it, as far as they are written out; list indices are not. */
  readonly names: readonly string[];
  /** How many of the names must be there; without those after it the expression can do (`has(…)`, `.?`). */
  readonly required: number;
  /** Offset of the top-level name in the expression. */
  readonly position: number;
}

export interface Growing extends Read {
  readonly names: string[];
  required: number;
}

/** A variable of a macro. */
export interface Local {
  readonly slot: number;
  readonly kind: Kind;
  readonly borrowed: boolean;
}

/** What the parts of one expression share while it is compiled. */
export interface Compiling {
  readonly scope: readonly string[];
  readonly reads: Growing[];
  /** How many variables there are in all. */
  slots: number;
  /** How many nodes were compiled. */
  nodes: number;
  /** Levels around the node. */
  depth: number;
  readonly compile: (node: ASTNode, locals: Locals) => Code;
}

export type Locals = ReadonlyMap<string, Local>;

/** Compiles one kind of node. */
export type Compile<N extends ASTNode = ASTNode> = (
  node: N,
  locals: Locals,
  compiling: Compiling,
) => Code;

export type NodeOf<Op extends ASTNode["op"]> = Extract<ASTNode, { op: Op }>;

/** A value, or the problem that came instead. */
export type Attempt = { readonly value: unknown } | { readonly problem: Problem };
