import type { JsonObject } from "../call.ts";
import { isObject } from "../wire.ts";
import { leftOut, listOf, mapOf, objectOf, shown, text, type Mend } from "./mend.ts";

/** Says why a JSON Schema cannot be compiled; undefined where it can. */
export type CompileError = (schema: JsonObject) => string | undefined;

/** Hosts send schemas to model providers, which refuse the whole request for a property named otherwise. */
const propertyName = /^[A-Za-z0-9_.-]{1,64}$/;
const combinators = ["anyOf", "oneOf", "allOf"] as const;

/** Hosts want an object here, also where JSON Schema takes true or false. */
const property: Mend = (value, path, problems) => {
  if (isObject(value)) return value;
  if (value === false) return { not: {} };
  if (value !== true)
    problems.push(`${path} takes anything: expected a schema, got ${shown(value)}`);
  return {};
};

const members = objectOf({ properties: mapOf(property), required: listOf(text) });

/** An input schema that hosts take. Nothing of it stays where a required property has a name that they refuse. */
export const inputSchema: Mend = (value, path, problems) => {
  if (!isObject(value)) {
    problems.push(`${path} was replaced: expected an object schema, got ${shown(value)}`);
    return { type: "object" };
  }
  let schema = value;
  if (schema["type"] !== "object") {
    problems.push(`${path} was given type "object" instead of ${shown(schema["type"])}`);
    schema = { ...schema, type: "object" };
  }
  if (combinators.some((key) => key in schema)) {
    problems.push(`${path} has anyOf, oneOf or allOf at the top, which hosts refuse: joined`);
    schema = joined(schema);
  }
  return withoutBadProperties(members(schema, path, problems) as JsonObject, problems);
};

/** An output schema that hosts can compile. */
export const outputSchema =
  (compileError: CompileError): Mend =>
  (value, path, problems) => {
    if (!isObject(value) || value["type"] !== "object")
      return leftOut('a schema with type "object"', value, path, problems);
    const schema = members(value, path, problems) as JsonObject;
    const wrong = compileError(schema);
    if (wrong === undefined) return schema;
    problems.push(`${path} is left out: ${wrong}`);
    return undefined;
  };

/** The top-level alternatives of a schema as one object schema, which lets through all that one of them would. */
function joined(schema: JsonObject): JsonObject {
  const result = without(schema, ...combinators);
  let properties: JsonObject = isObject(schema["properties"]) ? schema["properties"] : {};
  const required = new Set(Array.isArray(schema["required"]) ? schema["required"] : []);
  for (const key of combinators) {
    const branches = Array.isArray(schema[key]) ? schema[key].filter(isObject) : [];
    for (const branch of branches) {
      if (isObject(branch["properties"])) {
        const all: JsonObject = { ...branch["properties"], ...properties };
        // What a branch adds would be refused by this.
        if (Object.keys(all).length > Object.keys(properties).length)
          delete result["additionalProperties"];
        properties = all;
      }
      if (key === "allOf" && Array.isArray(branch["required"]))
        for (const name of branch["required"]) required.add(name);
    }
  }
  if (Object.keys(properties).length > 0) result["properties"] = properties;
  if (required.size > 0) result["required"] = [...required];
  return result;
}

function withoutBadProperties(schema: JsonObject, problems: string[]): JsonObject | undefined {
  const { properties } = schema;
  if (!isObject(properties)) return schema;
  const bad = Object.keys(properties).filter((name) => !propertyName.test(name));
  if (bad.length === 0) return schema;
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  const names = bad.map((name) => JSON.stringify(name)).join(", ");
  if (bad.some((name) => required.includes(name))) {
    problems.push(`is left out: hosts refuse the name of its required property ${names}`);
    return undefined;
  }
  problems.push(`hosts refuse the names of these properties, which are left out: ${names}`);
  return { ...schema, properties: without(properties, ...bad) };
}

const without = (object: JsonObject, ...keys: readonly string[]): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
