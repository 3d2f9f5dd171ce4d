import type { ASTNode, BinaryOperator } from "@marcbachmann/cel-js";
import { access, optionalAccess } from "./access.ts";
import { call, methodCall } from "./calls.ts";
import type { Code, Compile, Compiling, Growing, Locals, NodeOf } from "./code.ts";
import { Problem, listed } from "./error.ts";
import { maxExpressionDepth } from "./limits.ts";
import { conditional, logical, not } from "./logic.ts";
import { finite, fits, operatorFor, operatorKind } from "./operators.ts";
import { at, attempt } from "./problems.ts";
import { kindOf, member } from "./values.ts";

interface Compiled {
  readonly code: Code;
  readonly reads: readonly Growing[];
  /** How many variables of macros there are. */
  readonly slots: number;
}

/** Makes a function of a syntax tree. Throws a Problem where the tree shows already that it can't work. */
export function compileTree(tree: ASTNode, scope: readonly string[]): Compiled {
  const compiling: Compiling = {
    scope,
    reads: [],
    slots: 0,
    nodes: 0,
    depth: 0,
    compile: (node, locals) => compileNode(node, locals, compiling),
  };
  const code = compiling.compile(tree, new Map());
  return { code, reads: compiling.reads, slots: compiling.slots };
}

function compileNode(node: ASTNode, locals: Locals, compiling: Compiling): Code {
  compiling.nodes += 1;
  compiling.depth += 1;
  if (compiling.depth > maxExpressionDepth)
    throw new Problem(`more than ${maxExpressionDepth} levels deep`, node.pos);
  const code = dispatch(node, locals, compiling);
  compiling.depth -= 1;
  return code;
}

function dispatch(node: ASTNode, locals: Locals, compiling: Compiling): Code {
  switch (node.op) {
    case "value":
      return literal(node);
    case "id":
      return name(node, locals, compiling);
    case ".":
    case "[]":
      return access(node, locals, compiling);
    case ".?":
    case "[?]":
      return optionalAccess(node, locals, compiling);
    case "call":
      return call(node, locals, compiling);
    case "rcall":
      return methodCall(node, locals, compiling);
    case "list":
      return list(node, locals, compiling);
    case "map":
      return object(node, locals, compiling);
    case "?:":
      return conditional(node, locals, compiling);
    case "||":
    case "&&":
      return logical(node, locals, compiling);
    case "!_":
      return not(node, locals, compiling);
    case "-_":
      return negative(node, locals, compiling);
    default:
      return binary(node, locals, compiling);
  }
}

function literal({ args, pos }: NodeOf<"value">): Code {
  const value = literalValue(args, pos);
  return { run: () => value, kind: kindOf(value), borrowed: true };
}

function literalValue(written: NodeOf<"value">["args"], position: number): unknown {
  if (written instanceof Uint8Array) throw new Problem("bytes are no JSON", position);
  if (typeof written !== "bigint" && typeof written !== "object") return written;
  if (written === null) return null;
  const value = Number(written.valueOf());
  if (Number.isSafeInteger(value)) return value;
  throw new Problem("a number in JSON is not exact beyond 2^53; write it as text", position);
}

const name: Compile<NodeOf<"id">> = ({ args, pos }, locals, { scope, reads }) => {
  const local = locals.get(args);
  if (local !== undefined) {
    const { slot, kind, borrowed } = local;
    return { run: ({ locals: all }) => all[slot], kind, borrowed };
  }
  if (!scope.includes(args)) {
    const there = scope.length === 0 ? "there are none" : `there are ${listed(scope)}`;
    throw new Problem(`no name ${listed([args])}; ${there}`, pos);
  }
  const read: Growing = { names: [args], required: 1, position: pos };
  reads.push(read);
  return {
    kind: "any",
    borrowed: true,
    read,
    run: ({ values }) => {
      const value = member(values, args);
      if (value === undefined) throw new Problem(`${args} has no value here`, pos);
      return value;
    },
  };
};

const list: Compile<NodeOf<"list">> = (node, locals, { compile }) => {
  const items = node.args.map((item) => compile(item, locals));
  return {
    kind: "list",
    borrowed: items.length === 0,
    run: (frame) => items.map(({ run }) => run(frame)),
  };
};

const object: Compile<NodeOf<"map">> = (node, locals, { compile }) => {
  const entries = node.args.map(([key, value]) => {
    const { run: keyOf, kind } = compile(key, locals);
    const check = (got: string): Problem =>
      new Problem(`the keys of an object are strings, got ${got}`, key.pos);
    if (!fits(kind, "string")) throw check(kind);
    const { run: valueOf } = compile(value, locals);
    return { keyOf, valueOf, check };
  });
  return {
    kind: "object",
    borrowed: entries.length === 0,
    run: (frame) =>
      // fromEntries makes an own member of any key, __proto__ too.
      Object.fromEntries(
        entries.map(({ keyOf, valueOf, check }) => {
          const key = keyOf(frame);
          if (typeof key !== "string") throw check(kindOf(key));
          return [key, valueOf(frame)];
        }),
      ),
  };
};

const negative: Compile<NodeOf<"-_">> = (node, locals, { compile }) => {
  const { run, kind } = compile(node.args, locals);
  const wrong = (got: string): Problem => new Problem(`no operation -${got}`, node.pos);
  if (!fits(kind, "number")) throw wrong(kind);
  return {
    kind: "number",
    borrowed: false,
    run: (frame) => {
      const value = run(frame);
      if (typeof value !== "number") throw wrong(kindOf(value));
      return finite(-value);
    },
  };
};

const binary: Compile<NodeOf<BinaryOperator>> = (node, locals, { compile }) => {
  const { run: left, kind: leftKind } = compile(node.args[0], locals);
  const { run: right, kind: rightKind } = compile(node.args[1], locals);
  // Where the right operand starts, next to the operator.
  const position = node.args[1].start;
  const kind = attempt(position, () => operatorKind(node.op, leftKind, rightKind));
  const apply = operatorFor(node.op);
  return {
    kind,
    borrowed: false,
    run: at(position, (frame) => apply(left(frame), right(frame), frame.meter)),
  };
};
