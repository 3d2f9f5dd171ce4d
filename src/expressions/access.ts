import type { ASTNode } from "@marcbachmann/cel-js";
import type { Code, Compile, NodeOf } from "./code.ts";
import { Problem, listed } from "./error.ts";
import type { Meter } from "./limits.ts";
import { fits, pick } from "./operators.ts";
import { at } from "./problems.ts";
import { Optional, isObject, kindOf } from "./values.ts";
import type { Kind } from "./values.ts";

/** `a.b` and `a[b]`: what is not there is a problem, except in an optional. */
export const access: Compile<NodeOf<"." | "[]">> = (node, locals, { compile }) => {
  const container = compile(node.args[0], locals);
  const { key, position } = keyOf(node, (part) => compile(part, locals));
  checkKinds(container.kind, key.kind, position);
  grow(container, node.args[1], false);
  return {
    kind: container.kind === "optional" ? "optional" : "any",
    borrowed: container.borrowed,
    read: isWritten(node.args[1]) ? container.read : undefined,
    run: at(position, (frame) => {
      const from = container.run(frame);
      const picked = key.run(frame);
      if (from instanceof Optional) return pickOptional(from, picked);
      const value = pick(from, picked);
      if (value === undefined) throw missing(from, picked, frame.meter);
      return value;
    }),
  };
};

/** `a.?b` and `a[?b]`: an optional. */
export const optionalAccess: Compile<NodeOf<".?" | "[?]">> = (node, locals, { compile }) => {
  const container = compile(node.args[0], locals);
  const { key, position } = keyOf(node, (part) => compile(part, locals));
  checkKinds(container.kind, key.kind, position);
  grow(container, node.args[1], true);
  return {
    kind: "optional",
    borrowed: container.borrowed,
    read: isWritten(node.args[1]) ? container.read : undefined,
    run: at(position, (frame) => pickOptional(container.run(frame), key.run(frame))),
  };
};

/**
 * `has(a.b)`. Like CEL it tells about the last key only: that `a` is missing is a problem. That `a`
 * is null, as the result of a skipped step, is none.
 */
export const has: Compile<NodeOf<"call">> = (node, locals, { compile }) => {
  const [, [field, ...others]] = node.args;
  if (field?.op !== "." || others.length > 0)
    throw new Problem(
      'has takes a field, such as has(input.id); for other keys write "a-key" in input',
      node.start,
    );
  const container = compile(field.args[0], locals);
  checkKinds(container.kind, "string", field.pos);
  grow(container, field.args[1], true);
  return {
    kind: "boolean",
    borrowed: false,
    run: at(field.pos, (frame) => {
      const optional = pickOptional(container.run(frame), field.args[1]);
      return optional.value !== undefined;
    }),
  };
};

interface Key {
  readonly key: Pick<Code, "run" | "kind">;
  readonly position: number;
}

function keyOf(node: NodeOf<"." | "[]" | ".?" | "[?]">, compile: (node: ASTNode) => Code): Key {
  const [, written] = node.args;
  if (typeof written !== "string") return { key: compile(written), position: written.start };
  return { key: { run: () => written, kind: "string" }, position: node.pos };
}

/** Throws where something of this kind can't have members, or none by such a key. */
function checkKinds(container: Kind, key: Kind, position: number): void {
  const suits =
    container === "optional" ||
    (fits(container, "object") && fits(key, "string")) ||
    (fits(container, "list") && fits(key, "number"));
  if (suits) return;
  throw new Problem(
    fits(container, "list") || fits(container, "object")
      ? `no ${key} as the key of a value of the kind ${container}`
      : `a value of the kind ${container} has no members`,
    position,
  );
}

/** Notes that the path which `container` reads goes on by `key`. */
function grow({ read }: Code, key: ASTNode | string, optional: boolean): void {
  if (read === undefined) return;
  const name = typeof key === "string" ? key : key.op === "value" ? key.args : undefined;
  if (typeof name !== "string") return;
  // Behind an optional key all are.
  if (!optional && read.required === read.names.length) read.required += 1;
  read.names.push(name);
}

/** Whether a key is known without running the expression; behind another the path is not known. */
const isWritten = (key: ASTNode | string): boolean =>
  typeof key === "string" || (key.op === "value" && typeof key.args === "string");

function pickOptional(from: unknown, key: unknown): Optional {
  const container = from instanceof Optional ? from.value : from;
  if (container === undefined || container === null) return new Optional(undefined);
  return new Optional(pick(container, key));
}

function missing(from: unknown, key: unknown, meter: Meter): Problem {
  if (Array.isArray(from))
    return new Problem(`no index ${String(key)} in a list of ${from.length}`);
  const keys = isObject(from) ? Object.keys(from) : [];
  meter.spend(keys.length);
  const there = keys.length === 0 ? "there are none" : `there are ${listed(keys)}`;
  return new Problem(`no key ${listed([String(key)])}; ${there}`);
}

/** The value of an optional, undefined where there is none. */
export function present(value: unknown, name: string, position: number): unknown {
  if (value instanceof Optional) return value.value;
  throw notOptional(name, kindOf(value), position);
}

export const notOptional = (name: string, kind: Kind, position: number): Problem =>
  new Problem(`${name} takes an optional such as input.?id, got ${kind}`, position);
