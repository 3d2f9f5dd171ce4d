import * as z from "zod";

/** `schema` less what only says that the value may be missing. */
function bare(schema: z.core.$ZodType): z.core.$ZodType {
  const mayBeMissing =
    schema instanceof z.ZodExactOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault;
  return mayBeMissing ? bare(schema.unwrap()) : schema;
}

/** The object with named keys that a value of `schema` may be. */
export function objectIn(schema: z.core.$ZodType): z.ZodObject | undefined {
  const inner = bare(schema);
  if (inner instanceof z.ZodObject) return inner;
  if (!(inner instanceof z.ZodUnion)) return undefined;
  return inner.options.map(objectIn).find((option) => option !== undefined);
}

/** The schema of what stands under `key` in a value of `schema`. */
export function schemaUnder(
  schema: z.core.$ZodType,
  key: string | number,
): z.core.$ZodType | undefined {
  const inner = bare(schema);
  if (inner instanceof z.ZodObject) {
    return Object.hasOwn(inner.shape, key) ? inner.shape[key] : undefined;
  }
  if (inner instanceof z.ZodRecord) return inner.valueType;
  if (inner instanceof z.ZodArray) return typeof key === "number" ? inner.element : undefined;
  if (!(inner instanceof z.ZodUnion)) return undefined;
  const found = inner.options.flatMap((option) => schemaUnder(option, key) ?? []);
  return found.length > 1 ? z.union(found) : found[0];
}

/** What a value of `schema` looks like, in words: "a whole number from 1 to 5". */
export function expectation(schema: z.core.$ZodType): string {
  const inner = bare(schema);
  if (inner instanceof z.ZodUnion) return either([...new Set(inner.options.map(expectation))]);
  if (inner instanceof z.ZodEnum) return quoted(inner.options);
  if (inner instanceof z.ZodLiteral) return quoted([...inner.values]);
  if (inner instanceof z.ZodNumberFormat) {
    return `a whole number from ${inner.minValue} to ${inner.maxValue}`;
  }
  if (inner instanceof z.ZodNumber) return "a number";
  if (inner instanceof z.ZodBoolean) return "true or false";
  if (inner instanceof z.ZodNull) return "null";
  if (inner instanceof z.ZodArray) return "a list";
  if (inner instanceof z.ZodString) {
    return inner.minLength ? "a string that is not empty" : "a string";
  }
  return "an object";
}

const quoted = (values: readonly unknown[]): string =>
  either(values.map((value) => JSON.stringify(value)));

/** `a, b or c`. */
const either = (texts: readonly string[]): string =>
  texts.join(", ").replace(/, ([^,]*)$/, " or $1");
