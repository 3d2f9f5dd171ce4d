/*
 * Arguments that a tool wants to have in headers of the HTTP request, too: `x-mcp-header` in its inputSchema.
 */
import type { JsonObject, ToolDefinition } from "./call.ts";
import { isObject } from "./wire.ts";

const annotation = "x-mcp-header";
const prefix = "Mcp-Param-";

/** An argument, by its path, and the header that is to have its value. */
export interface ParamHeader {
  readonly header: string;
  readonly path: readonly string[];
}

/** What HTTP takes for a name. */
const token = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/;
const primitive: ReadonlySet<unknown> = new Set(["integer", "string", "boolean"]);
/** What of a schema is data, in which nothing is an annotation. */
const data: ReadonlySet<string> = new Set(["default", "const", "enum", "examples"]);
/** Schemas nested deeper are not looked into. */
const deepest = 100;

/** The headers of a tool; why it cannot be called where what it says of them is against the rules. */
export function paramHeaders({ inputSchema }: ToolDefinition): readonly ParamHeader[] | string {
  const found: ParamHeader[] = [];
  let problem: string | undefined;
  /** `path` is undefined where a value cannot be told from the schema alone. */
  const walk = (schema: unknown, path: readonly string[] | undefined, depth: number): void => {
    if (depth > deepest) return;
    if (Array.isArray(schema)) for (const one of schema) walk(one, undefined, depth + 1);
    if (!isObject(schema)) return;
    const name = schema[annotation];
    if (name !== undefined) problem ??= wrong(name, schema["type"], path, found);
    if (typeof name === "string" && path !== undefined)
      found.push({ header: `${prefix}${name}`, path });
    for (const [key, inner] of Object.entries(schema))
      if (key === "properties" && isObject(inner))
        for (const [property, of] of Object.entries(inner))
          walk(of, path && [...path, property], depth + 1);
      else if (!data.has(key) && key !== annotation) walk(inner, undefined, depth + 1);
  };
  walk(inputSchema, [], 0);
  return problem ?? found;
}

function wrong(
  name: unknown,
  type: unknown,
  path: readonly string[] | undefined,
  before: readonly ParamHeader[],
): string | undefined {
  if (typeof name !== "string" || !token.test(name))
    return `expected ${annotation} to be the name of a header, got ${JSON.stringify(name)}`;
  if (path === undefined || path.length === 0)
    return `${annotation} ${name} is at something else than a plain property`;
  if (!primitive.has(type))
    return `expected what has ${annotation} ${name} to be of type string, integer or boolean, got ${JSON.stringify(type)}`;
  const lower = `${prefix}${name}`.toLowerCase();
  return before.some(({ header }) => header.toLowerCase() === lower)
    ? `${annotation} ${name} is there twice`
    : undefined;
}

/** The value at a path of the arguments; undefined where there is none, or null. */
export function argumentAt(args: unknown, path: readonly string[]): unknown {
  let value: unknown = args;
  for (const property of path) value = isObject(value) ? value[property] : undefined;
  return value ?? undefined;
}

/** The value of an argument as a header has it; undefined where there is none. */
export function paramValue(args: unknown, path: readonly string[]): string | undefined {
  const value = argumentAt(args, path);
  return ["string", "number", "boolean"].includes(typeof value)
    ? headerValue(String(value))
    : undefined;
}

const sentinel = /^=\?base64\?(.*)\?=$/;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const plain = /^(?:[!-~](?:[ -~]*[!-~])?)?$/;

/** A text as a header can have it: as it is, else in Base64. */
export const headerValue = (text: string): string =>
  plain.test(text) && !sentinel.test(text)
    ? text
    : `=?base64?${Buffer.from(text).toString("base64")}?=`;

/** What a header stands for; undefined where it is encoded wrongly. */
export function headerText(value: string): string | undefined {
  const [, inner] = sentinel.exec(value) ?? [];
  if (inner === undefined) return value;
  return base64.test(inner) ? Buffer.from(inner, "base64").toString("utf8") : undefined;
}

/** The parameter that names what a request is about, for its `Mcp-Name`, by method. */
export const nameMembers: Readonly<Record<string, string>> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
  "tasks/get": "taskId",
  "tasks/update": "taskId",
  "tasks/cancel": "taskId",
};

/** What a request is about, for its `Mcp-Name`. */
export function nameOf(method: string, params: JsonObject): string | undefined {
  const member = nameMembers[method];
  const name = member === undefined ? undefined : params[member];
  return typeof name === "string" ? headerValue(name) : undefined;
}
