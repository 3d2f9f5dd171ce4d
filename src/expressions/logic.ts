import type { Attempt, Compile, Frame, NodeOf } from "./code.ts";
import { Problem } from "./error.ts";
import { fits } from "./operators.ts";
import { tried } from "./problems.ts";
import { kindOf } from "./values.ts";
import type { Kind } from "./values.ts";

/** `a ? b : c`, where the branches can be of different kinds. */
export const conditional: Compile<NodeOf<"?:">> = (node, locals, { compile }) => {
  const [test, first, second] = node.args;
  const condition = compile(test, locals);
  const yes = compile(first, locals);
  const no = compile(second, locals);
  checkBoolean("a condition", condition.kind, test.start);
  return {
    kind: yes.kind === no.kind ? yes.kind : "any",
    borrowed: yes.borrowed && no.borrowed,
    run: (frame) =>
      booleanOf("a condition", condition.run(frame), test.start) ? yes.run(frame) : no.run(frame),
  };
};

/** `a && b`, `a || b`. As in CEL a side that decides wins over a problem in the other. */
export const logical: Compile<NodeOf<"&&" | "||">> = (node, locals, { compile }) => {
  const decisive = node.op === "||";
  const [first, second] = node.args;
  const left = compile(first, locals);
  const right = compile(second, locals);
  checkBoolean(node.op, left.kind, first.start);
  checkBoolean(node.op, right.kind, second.start);
  const leftOf = (frame: Frame): boolean => booleanOf(node.op, left.run(frame), first.start);
  const rightOf = (frame: Frame): boolean => booleanOf(node.op, right.run(frame), second.start);
  return {
    kind: "boolean",
    borrowed: false,
    run: (frame) => {
      const attempt: Attempt = tried(leftOf, frame);
      if ("value" in attempt) return attempt.value === decisive ? decisive : rightOf(frame);
      const other = tried(rightOf, frame);
      if ("value" in other && other.value === decisive) return decisive;
      throw attempt.problem;
    },
  };
};

/** `!a` */
export const not: Compile<NodeOf<"!_">> = (node, locals, { compile }) => {
  const { run, kind } = compile(node.args, locals);
  checkBoolean("!", kind, node.args.start);
  return {
    kind: "boolean",
    borrowed: false,
    run: (frame) => !booleanOf("!", run(frame), node.args.start),
  };
};

/** Throws where a value of this kind is never a boolean. */
export function checkBoolean(what: string, kind: Kind, position: number): void {
  if (!fits(kind, "boolean")) throw notBoolean(what, kind, position);
}

/** `value` where it is a boolean. Nothing else is taken for one. */
export function booleanOf(what: string, value: unknown, position: number): boolean {
  if (typeof value === "boolean") return value;
  throw notBoolean(what, kindOf(value), position);
}

const notBoolean = (what: string, kind: Kind, position: number): Problem =>
  new Problem(`${what} takes a boolean, got ${kind}`, position);
