import { Duration } from "./duration.ts";
import { Problem } from "./error.ts";
import type { Meter } from "./limits.ts";
import { equal, isObject, kindOf, member } from "./values.ts";
import type { Kind, Natives } from "./values.ts";

interface Overload {
  readonly left: Kind;
  readonly right: Kind;
  readonly gives: Kind;
  readonly apply: (a: unknown, b: unknown, meter: Meter) => unknown;
}

/** An operator on two values. */
type Operator = (a: unknown, b: unknown, meter: Meter) => unknown;

const overload = <L extends Kind, R extends Kind>(
  left: L,
  right: R,
  gives: Kind,
  apply: (a: Natives[L], b: Natives[R], meter: Meter) => unknown,
): Overload => ({ left, right, gives, apply: apply as Overload["apply"] });

const numbers = (apply: (a: number, b: number) => number): Overload =>
  overload("number", "number", "number", (a, b) => finite(apply(a, b)));

const ordered = (apply: (a: never, b: never) => boolean): readonly Overload[] =>
  (["number", "string", "boolean", "timestamp", "duration"] as const).map((kind) => ({
    left: kind,
    right: kind,
    gives: "boolean",
    apply: (a, b, meter) => {
      if (typeof a === "string") meter.spendText(a.length);
      return apply(a as never, b as never);
    },
  }));

const overloads: Readonly<Record<string, readonly Overload[]>> = {
  "+": [
    numbers((a, b) => a + b),
    overload("string", "string", "string", (a, b, meter) => {
      meter.spendText(a.length + b.length);
      return a + b;
    }),
    overload("list", "list", "list", (a, b, meter) => {
      meter.spend(a.length + b.length);
      return a.concat(b);
    }),
    overload("timestamp", "duration", "timestamp", (a, b) => moment(Number(a) + b.ms)),
    overload("duration", "timestamp", "timestamp", (a, b) => moment(a.ms + Number(b))),
    overload("duration", "duration", "duration", (a, b) => new Duration(a.ms + b.ms)),
  ],
  "-": [
    numbers((a, b) => a - b),
    overload("timestamp", "timestamp", "duration", (a, b) => new Duration(Number(a) - Number(b))),
    overload("timestamp", "duration", "timestamp", (a, b) => moment(Number(a) - b.ms)),
    overload("duration", "duration", "duration", (a, b) => new Duration(a.ms - b.ms)),
  ],
  "*": [numbers((a, b) => a * b)],
  "/": [numbers((a, b) => a / notZero(b))],
  "%": [numbers((a, b) => a % notZero(b))],
  "<": ordered((a, b) => a < b),
  "<=": ordered((a, b) => a <= b),
  ">": ordered((a, b) => a > b),
  ">=": ordered((a, b) => a >= b),
  in: [
    overload("any", "list", "boolean", (a, b, meter) => b.some((item) => equal(a, item, meter))),
    overload("string", "object", "boolean", (a, b) => member(b, a) !== undefined),
  ],
  "==": [overload("any", "any", "boolean", equal)],
  "!=": [overload("any", "any", "boolean", (a, b, meter) => !equal(a, b, meter))],
};

/** The kind of what `operator` gives. Throws where the kinds of its operands already show that it can't. */
export function operatorKind(operator: string, left: Kind, right: Kind): Kind {
  const fitting = overloadsFor(operator).filter(
    (candidate) => fits(left, candidate.left) && fits(right, candidate.right),
  );
  const comparesApart = operator === "==" || operator === "!=" ? apart(left, right) : false;
  if (fitting.length === 0 || comparesApart) throw noOverload(operator, left, right);
  const [first, ...others] = fitting.map(({ gives }) => gives);
  return first !== undefined && others.every((kind) => kind === first) ? first : "any";
}

/** How `operator` is applied. */
export function operatorFor(operator: string): Operator {
  const candidates = overloadsFor(operator);
  const [only, ...others] = candidates;
  if (only?.left === "any" && others.length === 0) return only.apply;
  return (a, b, meter) => {
    const left = kindOf(a);
    const right = kindOf(b);
    for (const candidate of candidates)
      if (fits(left, candidate.left) && fits(right, candidate.right))
        return candidate.apply(a, b, meter);
    throw noOverload(operator, left, right);
  };
}

/** Whether a value of one kind can be one of the other. */
export const fits = (kind: Kind, wanted: Kind): boolean =>
  kind === wanted || kind === "any" || wanted === "any";

const overloadsFor = (operator: string): readonly Overload[] => overloads[operator] ?? [];

/** Null compares with everything: it stands for a value that is not there. */
const apart = (left: Kind, right: Kind): boolean =>
  !fits(left, right) && left !== "null" && right !== "null";

const noOverload = (operator: string, left: Kind, right: Kind): Problem =>
  new Problem(`no operation ${left} ${operator} ${right}`);

/** `value` where JSON can hold it. */
export function finite(value: number): number {
  if (Number.isFinite(value)) return value;
  throw new Problem("the number is too large");
}

function notZero(divisor: number): number {
  if (divisor !== 0) return divisor;
  throw new Problem("division by zero");
}

/** The time `ms` milliseconds after 1970. */
export function moment(ms: number): Date {
  const time = new Date(ms);
  if (!Number.isNaN(time.getTime())) return time;
  throw new Problem("the timestamp is out of range");
}

/** The element or member of `container`; undefined where there is none. Throws where it can't have one. */
export function pick(container: unknown, key: unknown): unknown {
  if (Array.isArray(container)) {
    if (typeof key !== "number" || !Number.isInteger(key))
      throw new Problem(`a list takes whole numbers as index, got ${kindName(key)}`);
    return container[key];
  }
  if (!isObject(container)) throw new Problem(`${kindName(container)} has no members`);
  if (typeof key !== "string")
    throw new Problem(`an object takes strings as keys, got ${kindName(key)}`);
  return member(container, key);
}

const kindName = (value: unknown): string => {
  const kind = kindOf(value);
  if (kind === "number" && !Number.isInteger(value)) return "a fraction";
  return kind === "null"
    ? "null"
    : `${kind === "object" || kind === "optional" ? "an" : "a"} ${kind}`;
};
