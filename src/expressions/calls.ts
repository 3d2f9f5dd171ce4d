import { has } from "./access.ts";
import type { Code, Compile, NodeOf } from "./code.ts";
import { resolve } from "./functions.ts";
import { macroFor } from "./macros.ts";
import { at, attempt } from "./problems.ts";

/** `f(a)` */
export const call: Compile<NodeOf<"call">> = (node, locals, compiling) => {
  const [name, args] = node.args;
  if (name === "has") return has(node, locals, compiling);
  const compiled = args.map((argument) => compiling.compile(argument, locals));
  return applied("function", name, compiled, node.start);
};

/** `a.f(b)` */
export const methodCall: Compile<NodeOf<"rcall">> = (node, locals, compiling) => {
  const macro = macroFor(node, locals);
  if (macro !== undefined) return macro(node, locals, compiling);
  const [name, receiver, args] = node.args;
  const compiled = [receiver, ...args].map((argument) => compiling.compile(argument, locals));
  return applied("method", name, compiled, receiver.end + 1);
};

function applied(
  what: "function" | "method",
  name: string,
  args: readonly Code[],
  position: number,
): Code {
  const { gives, call: apply } = attempt(position, () =>
    resolve(
      what,
      name,
      args.map(({ kind }) => kind),
    ),
  );
  return {
    kind: gives,
    borrowed: false,
    run: at(position, (frame) =>
      apply(
        args.map(({ run }) => run(frame)),
        frame.meter,
      ),
    ),
  };
}
