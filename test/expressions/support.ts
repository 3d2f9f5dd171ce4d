import { compileExpression } from "../../src/expressions/expression.ts";
import { ExpressionError } from "../../src/expressions/error.ts";

export const where = "a test";

/** The value of `text`, with the names of `values` in scope. */
export const valueOf = (text: string, values: Record<string, unknown> = {}): unknown =>
  compileExpression(text, { scope: Object.keys(values), where }).evaluate(values);

const errorOf = (work: () => unknown): ExpressionError => {
  try {
    work();
  } catch (error) {
    if (error instanceof ExpressionError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

/** The error that compiling `text` throws. */
export const compileError = (text: string, scope: readonly string[] = []): ExpressionError =>
  errorOf(() => compileExpression(text, { scope, where }));

/** The error that evaluating `text` throws; compiling it must not. */
export const runError = (text: string, values: Record<string, unknown> = {}): ExpressionError => {
  const expression = compileExpression(text, { scope: Object.keys(values), where });
  return errorOf(() => expression.evaluate(values));
};
