/*
 * By HTTP a request says in its headers, too, what it is, so that those on the way need not read its body. Both
 * must agree.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { JsonObject, Tool } from "../call.ts";
import { isObject } from "../wire.ts";
import { versionKey } from "./era.ts";

/** The parameter that the Mcp-Name header repeats, by method. */
const nameOf = new Map([
  ["tools/call", "name"],
  ["prompts/get", "name"],
  ["resources/read", "uri"],
  ["tasks/get", "taskId"],
  ["tasks/update", "taskId"],
  ["tasks/cancel", "taskId"],
]);

/** An argument of a tool that a header repeats. */
interface Repeated {
  /** In lower case. */
  readonly header: string;
  /** The members on the way to it. */
  readonly path: readonly string[];
}

/** Why the headers of a request do not fit its body; undefined where they do. `find` finds tools by their names. */
export function mismatch(
  headers: IncomingHttpHeaders,
  { method, params }: JsonObject,
  find: (name: string) => Tool | undefined,
): string | undefined {
  const given = isObject(params) ? params : {};
  const meta = isObject(given["_meta"]) ? given["_meta"] : {};
  // What is missing in the body is told as such.
  const version = meta[versionKey] ?? headers["mcp-protocol-version"];
  const name = nameOf.get(String(method));
  return (
    differs("MCP-Protocol-Version", headers, version ?? "", (text) => text) ??
    differs("Mcp-Method", headers, method, (text) => text) ??
    (name === undefined || typeof given[name] !== "string"
      ? undefined
      : differs("Mcp-Name", headers, given[name], decoded)) ??
    (method === "tools/call" ? argumentDiffers(headers, given, find) : undefined)
  );
}

function argumentDiffers(
  headers: IncomingHttpHeaders,
  { name, arguments: args }: JsonObject,
  find: (name: string) => Tool | undefined,
): string | undefined {
  const schema = typeof name === "string" ? find(name)?.definition["inputSchema"] : undefined;
  if (!isObject(schema)) return undefined;
  for (const { header, path } of repeatedOf(schema)) {
    let value: unknown = args;
    for (const member of path) value = isObject(value) ? value[member] : undefined;
    const problem = differs(header, headers, value ?? undefined, decoded);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** `value`: that of the body; undefined where there is none, and then there must be no header. */
function differs(
  name: string,
  headers: IncomingHttpHeaders,
  value: unknown,
  read: (text: string) => string | undefined,
): string | undefined {
  const header = headers[name.toLowerCase()];
  if (header === undefined)
    return value === undefined ? undefined : `the ${name} header is missing`;
  const text = isPlain.test(String(header)) ? read(String(header)) : undefined;
  if (text === undefined) return `the ${name} header holds what no header may hold`;
  const isSame =
    typeof value === "number"
      ? text.trim() !== "" && Number(text) === value
      : text === String(value);
  return isSame ? undefined : `the ${name} header is not what the body says`;
}

const isPlain = /^[\t\x20-\x7e]*$/;
const encoded = /^=\?base64\?(.*)\?=$/;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** What a header stands for; undefined where it is encoded wrongly. */
function decoded(text: string): string | undefined {
  const [, inner] = encoded.exec(text) ?? [];
  if (inner === undefined) return text;
  return base64.test(inner) ? Buffer.from(inner, "base64").toString("utf8") : undefined;
}

const known = new WeakMap<JsonObject, readonly Repeated[]>();

/** The arguments that headers repeat, by the schema of a tool. */
function repeatedOf(schema: JsonObject): readonly Repeated[] {
  let found = known.get(schema);
  if (found === undefined) {
    found = annotated(schema, []);
    known.set(schema, found);
  }
  return found;
}

/** Nobody writes schemas that are nested deeper. */
const deepest = 32;
const token = /^[\w!#$%&'*+.^`|~-]+$/;
const primitives: readonly unknown[] = ["string", "integer", "boolean"];

function annotated({ properties }: JsonObject, path: readonly string[]): Repeated[] {
  if (!isObject(properties) || path.length > deepest) return [];
  return Object.entries(properties).flatMap(([member, schema]) => {
    if (!isObject(schema)) return [];
    const way = [...path, member];
    const name = schema["x-mcp-header"];
    const isOne =
      typeof name === "string" && token.test(name) && primitives.includes(schema["type"]);
    const own = isOne ? [{ header: `mcp-param-${name.toLowerCase()}`, path: way }] : [];
    return [...own, ...annotated(schema, way)];
  });
}
