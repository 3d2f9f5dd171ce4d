/** Where an expression stands, and what it may name. */
export interface Place {
  /** The whole that it is part of, in words, such as `chain "report", step "open"`. */
  readonly where: string;
  /** JSON pointer to the string that holds it; empty for the whole. */
  readonly path: string;
  /** The top-level names that it may use. */
  readonly scope: readonly string[];
}

/** What is wrong with an expression, when it is compiled or when it is evaluated. */
export class ExpressionError extends Error {
  override readonly name = "ExpressionError";
  /** What is wrong, without the place. */
  readonly problem: string;
  /** As it was written, without `${{ }}`. */
  readonly expression: string;
  /** JSON pointer to the string that holds the expression. */
  readonly path: string;
  /** Offset in `expression`; undefined where the whole is meant. */
  readonly position: number | undefined;

  /** The message without the place. */
  readonly withoutPlace: string;

  constructor(expression: string, place: Place, problem: Problem) {
    const withoutPlace = messageFor(expression, place, problem);
    const { where, path } = place;
    super([where, path, withoutPlace].filter((part) => part !== "").join(", "), {
      cause: problem.cause,
    });
    this.withoutPlace = withoutPlace;
    this.problem = problem.message;
    this.expression = expression;
    this.path = path;
    this.position = problem.position;
  }
}

function messageFor(expression: string, { scope }: Place, problem: Problem): string {
  const at = problem.position === undefined ? "" : `, character ${problem.position + 1}`;
  const names = scope.join(", ") || "nothing";
  return `\`${short(expression)}\`${at}: ${problem.message} (in scope: ${names})`;
}

/** `text` cut to a length that suits a message. */
export const short = (text: string, length = 200): string =>
  text.length > length ? `${text.slice(0, length)}…` : text;

/** Names in quotes for a message; of many only the first. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, 20).map((name) => JSON.stringify(short(name, 60)));
  return shown.join(", ") + (names.length > 20 ? ` and ${names.length - 20} more` : "");
}

/** What is wrong inside an expression; whoever knows the place makes an ExpressionError of it. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly position: number | undefined;

  constructor(message: string, position?: number, cause?: unknown) {
    super(message, { cause });
    this.position = position;
  }
}

/** A limit is reached. Unlike other problems, no operator or macro swallows it. */
export class LimitReached extends Problem {}

/** Runs `work`; what it throws leaves as an ExpressionError with the place. */
export function placed<T>(expression: string, place: Place, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Problem) throw new ExpressionError(expression, place, error);
    // The stack is the one resource that no limit of ours counts: the caller may have used most of it.
    if (!(error instanceof RangeError)) throw error;
    const problem = new LimitReached("nested too deeply", undefined, error);
    throw new ExpressionError(expression, place, problem);
  }
}
