import type { JsonObject, ToolDefinition } from "../call.ts";
import { isObject } from "../wire.ts";

/** A tool that any host can take, or none; and what was wrong with it. */
export interface Sanitised {
  readonly tool: ToolDefinition | undefined;
  readonly problems: readonly string[];
}

/** Says why a JSON Schema cannot be compiled; undefined where it can. */
export type CompileError = (schema: JsonObject) => string | undefined;

/** Hosts send schemas to model providers, which refuse the whole request for a property named otherwise. */
const propertyName = /^[A-Za-z0-9_.-]{1,64}$/;
const combinators = ["anyOf", "oneOf", "allOf"] as const;

/**
 * Makes a tool such that no host drops the others for its sake; whatever does no harm stays as it is.
 * Hosts are known to refuse all tools of a server for an input schema that is no object schema, for
 * `anyOf`, `oneOf` or `allOf` at its top, for a property name that a provider does not take, and for an
 * output schema that does not compile. Arguments are still checked by the tool's own server.
 */
export function sanitise(definition: ToolDefinition, compileError: CompileError): Sanitised {
  const { name, inputSchema, outputSchema } = definition as ToolDefinition & JsonObject;
  if (typeof name !== "string" || name === "")
    return { tool: undefined, problems: [`expected a name, got ${JSON.stringify(name)}`] };
  const problems: string[] = [];
  const input = inputSchemaOf(inputSchema, problems);
  if (input === undefined) return { tool: undefined, problems };
  const tool: ToolDefinition & JsonObject = { ...definition };
  if (input !== inputSchema) tool["inputSchema"] = input;
  if (outputSchema !== undefined) {
    const wrong = outputProblem(outputSchema, compileError);
    if (wrong !== undefined) {
      delete tool["outputSchema"];
      problems.push(`its outputSchema is left out: ${wrong}`);
    }
  }
  for (const [member, type] of [
    ["title", "string"],
    ["description", "string"],
  ] as const)
    if (tool[member] !== undefined && typeof tool[member] !== type) {
      problems.push(`its ${member} is left out: expected a ${type}`);
      delete tool[member];
    }
  if (tool["annotations"] !== undefined && !isObject(tool["annotations"])) {
    problems.push("its annotations are left out: expected an object");
    delete tool["annotations"];
  }
  return { tool, problems };
}

/** A schema that hosts take; the same object where nothing is wrong; undefined where nothing helps. */
function inputSchemaOf(schema: unknown, problems: string[]): JsonObject | undefined {
  if (!isObject(schema)) {
    problems.push(`its inputSchema was replaced: expected an object schema, got ${cut(schema)}`);
    return { type: "object" };
  }
  let result = schema;
  if (result["type"] !== "object") {
    problems.push(`its inputSchema was given type "object" instead of ${cut(result["type"])}`);
    result = { ...result, type: "object" };
  }
  if (result["properties"] !== undefined && !isObject(result["properties"])) {
    problems.push(
      `the properties of its inputSchema are left out: got ${cut(result["properties"])}`,
    );
    result = without(result, "properties");
  }
  if (combinators.some((key) => key in result)) {
    problems.push(
      "its inputSchema has anyOf, oneOf or allOf at the top, which hosts refuse: joined",
    );
    result = joined(result);
  }
  return withoutBadProperties(result, problems);
}

/** The top-level alternatives of a schema as one object schema, which lets through all that one of them would. */
function joined(schema: JsonObject): JsonObject {
  const result = without(schema, ...combinators);
  let properties: JsonObject = isObject(schema["properties"]) ? schema["properties"] : {};
  const required = new Set(Array.isArray(schema["required"]) ? schema["required"] : []);
  for (const key of combinators) {
    const branches = Array.isArray(schema[key]) ? schema[key].filter(isObject) : [];
    for (const branch of branches) {
      if (isObject(branch["properties"])) properties = { ...branch["properties"], ...properties };
      if (key === "allOf" && Array.isArray(branch["required"]))
        for (const name of branch["required"]) required.add(name);
    }
    // What a branch adds would be refused by this.
    if (branches.length > 0) delete result["additionalProperties"];
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

function outputProblem(schema: unknown, compileError: CompileError): string | undefined {
  if (!isObject(schema) || schema["type"] !== "object")
    return `expected a schema with type "object", got ${cut(schema)}`;
  return compileError(schema);
}

const without = (object: JsonObject, ...keys: readonly string[]): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));

const cut = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, 60);
