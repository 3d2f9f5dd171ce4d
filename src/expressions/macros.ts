import type { ASTNode } from "@marcbachmann/cel-js";
import { notOptional, present } from "./access.ts";
import type { Code, Compile, Compiling, Frame, Local, Locals, NodeOf } from "./code.ts";
import { Problem } from "./error.ts";
import { booleanOf, checkBoolean } from "./logic.ts";
import { fits } from "./operators.ts";
import { tried } from "./problems.ts";
import { isObject, kindOf } from "./values.ts";
import type { Kind } from "./values.ts";

type MethodNode = NodeOf<"rcall">;

/** The macro for a call, where it is one. */
export function macroFor(node: MethodNode, locals: Locals): Compile<MethodNode> | undefined {
  const [name, receiver, args] = node.args;
  if (name === "bind" && receiver.op === "id" && receiver.args === "cel" && !locals.has("cel"))
    return args.length === 3 ? bind : undefined;
  return macros.get(`${name}/${args.length}`);
}

/** `cel.bind(name, value, body)` */
const bind: Compile<MethodNode> = (node, locals, compiling) => {
  const [variable, bound, body] = node.args[2] as [ASTNode, ASTNode, ASTNode];
  const value = compiling.compile(bound, locals);
  const { slot, inner } = withVariable(variable, value, locals, compiling);
  const { run, kind, borrowed } = compiling.compile(body, inner);
  return {
    kind,
    borrowed,
    run: (frame) => {
      frame.locals[slot] = value.run(frame);
      return run(frame);
    },
  };
};

/** Goes through the elements of a list, or the keys of an object. */
interface Loop {
  readonly items: (frame: Frame) => readonly unknown[];
  /** Runs `part` for one item. */
  readonly each: (part: Code["run"], item: unknown, frame: Frame) => unknown;
  readonly parts: readonly Code[];
  readonly position: number;
  readonly borrowed: boolean;
}

/** Compiles the parts of `receiver.macro(variable, …parts)`. */
function loop(node: MethodNode, locals: Locals, compiling: Compiling): Loop {
  const [name, receiver, [variable, ...parts]] = node.args;
  const over = compiling.compile(receiver, locals);
  const wrong = (kind: Kind): Problem =>
    new Problem(`${name} takes a list or an object, got ${kind}`, receiver.start);
  if (!fits(over.kind, "list") && !fits(over.kind, "object")) throw wrong(over.kind);
  const item = {
    kind: over.kind === "object" ? "string" : "any",
    borrowed: over.borrowed,
  } as const;
  const { slot, inner } = withVariable(variable, item, locals, compiling);
  const before = compiling.nodes;
  const compiled = parts.map((part) => compiling.compile(part, inner));
  const cost = 1 + compiling.nodes - before;
  return {
    parts: compiled,
    position: parts[0]?.start ?? node.start,
    borrowed: over.borrowed,
    items: (frame) => {
      const value = over.run(frame);
      if (Array.isArray(value)) return value;
      if (!isObject(value)) throw wrong(kindOf(value));
      const keys = Object.keys(value);
      frame.meter.spend(keys.length);
      return keys;
    },
    each: (part, value, frame) => {
      frame.meter.spend(cost);
      frame.locals[slot] = value;
      return part(frame);
    },
  };
}

/** Adds a variable to what a macro's parts can name. */
function withVariable(
  variable: ASTNode | undefined,
  { kind, borrowed }: Pick<Local, "kind" | "borrowed">,
  locals: Locals,
  compiling: Compiling,
): { readonly slot: number; readonly inner: Locals } {
  if (variable?.op !== "id")
    throw new Problem("the first argument of a macro is the name of its variable", variable?.start);
  const slot = compiling.slots;
  compiling.slots += 1;
  return { slot, inner: new Map([...locals, [variable.args, { slot, kind, borrowed }]]) };
}

const map: Compile<MethodNode> = (node, locals, compiling) => {
  const { items, each, parts } = loop(node, locals, compiling);
  const [transform] = parts as [Code];
  return {
    kind: "list",
    borrowed: false,
    run: (frame) => items(frame).map((item) => each(transform.run, item, frame)),
  };
};

const mapSome: Compile<MethodNode> = (node, locals, compiling) => {
  const { items, each, parts, position } = loop(node, locals, compiling);
  const [test, transform] = parts as [Code, Code];
  checkBoolean("map", test.kind, position);
  const both = (frame: Frame): unknown =>
    booleanOf("map", test.run(frame), position) ? { value: transform.run(frame) } : undefined;
  return {
    kind: "list",
    borrowed: false,
    run: (frame) =>
      items(frame).flatMap((item) => {
        const kept = each(both, item, frame) as { readonly value: unknown } | undefined;
        return kept === undefined ? [] : [kept.value];
      }),
  };
};

const filter: Compile<MethodNode> = (node, locals, compiling) => {
  const { items, each, parts, position, borrowed } = loop(node, locals, compiling);
  const [test] = parts as [Code];
  checkBoolean("filter", test.kind, position);
  return {
    kind: "list",
    borrowed,
    run: (frame) =>
      items(frame).filter((item) => booleanOf("filter", each(test.run, item, frame), position)),
  };
};

const existsOne: Compile<MethodNode> = (node, locals, compiling) => {
  const { items, each, parts, position } = loop(node, locals, compiling);
  const [test] = parts as [Code];
  checkBoolean("exists_one", test.kind, position);
  return {
    kind: "boolean",
    borrowed: false,
    run: (frame) =>
      items(frame).filter((item) => booleanOf("exists_one", each(test.run, item, frame), position))
        .length === 1,
  };
};

/** `all` and `exists`: the first item that decides wins over the problems of others. */
const quantifier =
  (name: string, decisive: boolean): Compile<MethodNode> =>
  (node, locals, compiling) => {
    const { items, each, parts, position } = loop(node, locals, compiling);
    const [test] = parts as [Code];
    checkBoolean(name, test.kind, position);
    const decided = (frame: Frame): boolean => booleanOf(name, test.run(frame), position);
    return {
      kind: "boolean",
      borrowed: false,
      run: (frame) => {
        let problem: Problem | undefined;
        for (const item of items(frame)) {
          const attempt = tried((inner) => each(decided, item, inner), frame);
          if ("problem" in attempt) problem ??= attempt.problem;
          else if (attempt.value === decisive) return decisive;
        }
        if (problem !== undefined) throw problem;
        return !decisive;
      },
    };
  };

/** `optional.orValue(default)` and `optional.or(optional)`; the argument runs only where it is needed. */
const or =
  (name: "or" | "orValue"): Compile<MethodNode> =>
  (node, locals, { compile }) => {
    const [, receiver, [argument]] = node.args as [string, ASTNode, [ASTNode]];
    const first = compile(receiver, locals);
    const second = compile(argument, locals);
    if (!fits(first.kind, "optional")) throw notOptional(name, first.kind, receiver.start);
    return {
      kind: name === "or" ? "optional" : "any",
      borrowed: first.borrowed && second.borrowed,
      run: (frame) => {
        const optional = first.run(frame);
        const value = present(optional, name, receiver.start);
        if (value !== undefined) return name === "or" ? optional : value;
        const other = second.run(frame);
        if (name === "or") present(other, name, argument.start);
        return other;
      },
    };
  };

/** By name and number of arguments. */
const macros: ReadonlyMap<string, Compile<MethodNode>> = new Map([
  ["map/2", map],
  ["map/3", mapSome],
  ["filter/2", filter],
  ["exists_one/2", existsOne],
  ["all/2", quantifier("all", false)],
  ["exists/2", quantifier("exists", true)],
  ["or/1", or("or")],
  ["orValue/1", or("orValue")],
]);
