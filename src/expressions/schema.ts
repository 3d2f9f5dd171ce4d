/*
 * What config may say in expressions, checked as it is read.
 */
import * as z from "zod";
import { ExpressionError } from "./error.ts";
import { compileExpression } from "./expression.ts";
import { checkTemplate } from "./template.ts";

/** The same schema; expressions in its texts must be right and use no other names than these. */
export const withExpressions = <Schema extends z.ZodType>(
  schema: Schema,
  ...scope: readonly string[]
): Schema =>
  schema.check((context) => {
    for (const { withoutPlace: message, path } of checkTemplate(context.value, {
      scope,
      where: "",
    }))
      context.issues.push({
        code: "custom",
        message,
        input: context.value,
        path: path === "" ? [] : path.slice(1).split("/"),
      });
  });

/** One expression over these names, as it is or within `${{ }}`. */
export const expression = (...scope: readonly string[]): z.ZodString =>
  z
    .string()
    .min(1)
    .check((context) => {
      try {
        compileExpression(context.value, { scope, where: "" });
      } catch (error) {
        if (!(error instanceof ExpressionError)) throw error;
        context.issues.push({ code: "custom", message: error.message, input: context.value });
      }
    });
