/*
 * What can be told of arguments and a tool's schema before any value is known. Where a schema says more than
 * is understood here, the tool's own server has the last word.
 */
import type { JsonObject } from "../call.ts";
import type { Finding, Path } from "../config/problems.ts";
import { showValue } from "../config/problems.ts";
import { isObject } from "../wire.ts";

/** A JSON type; `any` where it is not known. */
export type JsonType = "string" | "number" | "boolean" | "null" | "array" | "object" | "any";

/** The type of a text with expressions; undefined for a text without. */
export type TypeOf = (text: string) => JsonType | undefined;

/** What of a schema lets it through is known only with the values. */
const undecided = ["$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "not", "if"];

/** What does not fit in `value`, which may hold expressions, as `schema` wants it. */
export function misfits(value: unknown, schema: unknown, at: Path, typeOf: TypeOf): Finding[] {
  if (!isObject(schema) || undecided.some((key) => key in schema)) return [];
  const wanted = typesOf(schema);
  const text = typeof value === "string" ? typeOf(value) : undefined;
  const type = text ?? jsonType(value);
  if (!isWanted(type, value, wanted, text !== undefined)) {
    const got =
      text === undefined ? showValue(value, at) : `an expression that gives ${nameOf(type)}`;
    return [{ path: at, message: `expected ${wanted.map(nameOf).join(" or ")}, got ${got}` }];
  }
  if (text !== undefined) return [];
  return [...literalMisfits(value, schema, at), ...inner(value, schema, at, typeOf)];
}

/** The schema of what stands at `keys` in a value of `schema`: undefined where nothing is known of it. */
export function schemaAt(
  schema: unknown,
  keys: readonly string[],
): JsonObject | "absent" | undefined {
  if (!isObject(schema) || undecided.some((key) => key in schema)) return undefined;
  const [key, ...rest] = keys;
  if (key === undefined) return schema;
  const types = typesOf(schema);
  if (types.length > 0 && !types.includes("object"))
    return types.includes("array") ? undefined : "absent";
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  if (Object.hasOwn(properties, key)) return schemaAt(properties[key], rest);
  const isOpen = schema["additionalProperties"] !== false || "patternProperties" in schema;
  return isOpen ? undefined : "absent";
}

/** The one type of a schema's values. */
export function typeIn(schema: JsonObject | "absent" | undefined): JsonType {
  const types = isObject(schema) ? typesOf(schema) : [];
  const [only = "any"] = types;
  return types.length === 1 ? only : "any";
}

const jsonTypes: readonly unknown[] = [
  "string",
  "number",
  "boolean",
  "null",
  "array",
  "object",
] satisfies JsonType[];

/** The types that a schema allows, each once; none where it says nothing of them that is understood. */
function typesOf({ type, nullable }: JsonObject): JsonType[] {
  const written: unknown[] = Array.isArray(type) ? type : type === undefined ? [] : [type];
  const names = written.map((name) => (name === "integer" ? "number" : name));
  if (!names.every((name): name is JsonType => jsonTypes.includes(name))) return [];
  // As OpenAPI and Ajv have it.
  return [...new Set(nullable === true && names.length > 0 ? [...names, "null" as const] : names)];
}

const jsonType = (value: unknown): JsonType =>
  value === null ? "null" : Array.isArray(value) ? "array" : (typeof value as JsonType);

function isWanted(
  type: JsonType,
  value: unknown,
  wanted: readonly JsonType[],
  isExpression: boolean,
): boolean {
  if (wanted.length === 0 || type === "any" || wanted.includes(type)) return true;
  // Nothing else is a text before it is written out.
  return !isExpression && value === undefined;
}

const articles: Partial<Record<JsonType, string>> = {
  array: "a list",
  object: "an object",
  null: "null",
  boolean: "true or false",
};

const nameOf = (type: JsonType): string => articles[type] ?? `a ${type}`;

/** What is wrong with a value that holds no expression itself, by the keywords that are cheap and exact. */
function literalMisfits(value: unknown, schema: JsonObject, at: Path): Finding[] {
  const wrong = (expected: string): Finding[] => [
    { path: at, message: `expected ${expected}, got ${showValue(value, at)}` },
  ];
  const { enum: words, const: constant, minimum, maximum, minLength, maxLength, type } = schema;
  if (typeof value === "object" && value !== null) return [];
  if (Array.isArray(words) && !words.includes(value))
    return wrong(`one of ${words.map((word) => JSON.stringify(word)).join(", ")}`);
  if (constant !== undefined && typeof constant !== "object" && value !== constant)
    return wrong(JSON.stringify(constant));
  if (typeof value === "number") {
    if (type === "integer" && !Number.isInteger(value)) return wrong("a whole number");
    if (typeof minimum === "number" && value < minimum) return wrong(`at least ${minimum}`);
    if (typeof maximum === "number" && value > maximum) return wrong(`at most ${maximum}`);
  }
  if (typeof value === "string") {
    const { length } = Array.from(value);
    if (typeof minLength === "number" && length < minLength)
      return wrong(`at least ${minLength} characters`);
    if (typeof maxLength === "number" && length > maxLength)
      return wrong(`at most ${maxLength} characters`);
  }
  return [];
}

function inner(value: unknown, schema: JsonObject, at: Path, typeOf: TypeOf): Finding[] {
  if (Array.isArray(value)) {
    const { items, prefixItems } = schema;
    const places = Array.isArray(prefixItems) ? prefixItems : [];
    return value.flatMap((item: unknown, index) =>
      misfits(item, index < places.length ? places[index] : items, [...at, index], typeOf),
    );
  }
  return isObject(value) ? membersMisfits(value, schema, at, typeOf) : [];
}

function membersMisfits(
  value: JsonObject,
  schema: JsonObject,
  at: Path,
  typeOf: TypeOf,
): Finding[] {
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  const missing = required.filter(
    (name) => typeof name === "string" && !Object.hasOwn(value, name),
  );
  const isClosed = schema["additionalProperties"] === false;
  const members = Object.entries(value).flatMap(([name, member]) => {
    if (Object.hasOwn(properties, name))
      return misfits(member, properties[name], [...at, name], typeOf);
    // A pattern may be meant for it.
    if ("patternProperties" in schema) return [];
    if (!isClosed) return misfits(member, schema["additionalProperties"], [...at, name], typeOf);
    const known = Object.keys(properties).join(", ") || "none";
    return [{ path: [...at, name], message: `there is no such argument; expected ${known}` }];
  });
  return [
    ...missing.map((name) => ({
      path: at,
      message: `expected ${JSON.stringify(name)}, which is required`,
    })),
    ...members,
  ];
}
