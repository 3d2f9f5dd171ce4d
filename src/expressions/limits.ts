import { LimitReached } from "./error.ts";

/** Characters of one expression. */
export const maxExpressionLength = 4096;
/** Levels of operators, calls and brackets in one expression. */
export const maxExpressionDepth = 100;
/** Operators, calls, names and literals in one expression. */
export const maxExpressionNodes = 2000;
/** Elements of a list or an object that is written out in an expression. */
export const maxLiteralSize = 256;
/** Levels of lists and objects in a template, and in a value that is built, compared or written as text. */
export const maxValueDepth = 200;
/**
 * Steps in one evaluation of a template, 200 ms at the very most. A step is a part of an expression that
 * runs in a macro, a value that is compared or built, or 16 characters of text that are read or built.
 */
export const maxSteps = 1_000_000;

/** Counts the steps of one evaluation. */
export class Meter {
  #left = maxSteps;

  /** Steps that are left. */
  get left(): number {
    return this.#left;
  }

  /** Throws LimitReached where fewer steps are left. */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) {
      this.#left = 0;
      throw new LimitReached(
        `takes more than ${maxSteps} steps: it goes through too much data or builds too much`,
      );
    }
  }

  /** Spends for text of `length` characters. */
  spendText(length: number): void {
    this.spend(length / 16);
  }

  /** Spends for a search, whose worst case is the product of the lengths. */
  spendSearch(text: string, wanted: string): void {
    this.spend(text.length / 16 + (text.length * wanted.length) / 256);
  }
}
