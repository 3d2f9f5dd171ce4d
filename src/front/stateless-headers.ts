/*
 * By HTTP a request says in its headers, too, what it is, so that those on the way need not read its body. Both
 * must agree.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { JsonObject, Tool, ToolDefinition } from "../call.ts";
import { metaKeys } from "../era.ts";
import {
  argumentAt,
  headerText,
  nameMembers,
  paramHeaders,
  type ParamHeader,
} from "../param-headers.ts";
import { isObject } from "../wire.ts";

/** Why the headers of a request do not fit its body; undefined where they do. `find` finds tools by their names. */
export function mismatch(
  headers: IncomingHttpHeaders,
  { method, params }: JsonObject,
  find: (name: string) => Tool | undefined,
): string | undefined {
  const given = isObject(params) ? params : {};
  const meta = isObject(given["_meta"]) ? given["_meta"] : {};
  // What is missing in the body is told as such.
  const version = meta[metaKeys.protocolVersion] ?? headers["mcp-protocol-version"];
  const name = nameMembers[String(method)];
  return (
    differs("MCP-Protocol-Version", headers, version ?? "", (text) => text) ??
    differs("Mcp-Method", headers, method, (text) => text) ??
    (name === undefined || typeof given[name] !== "string"
      ? undefined
      : differs("Mcp-Name", headers, given[name], headerText)) ??
    (method === "tools/call" ? argumentDiffers(headers, given, find) : undefined)
  );
}

function argumentDiffers(
  headers: IncomingHttpHeaders,
  { name, arguments: args }: JsonObject,
  find: (name: string) => Tool | undefined,
): string | undefined {
  const tool = typeof name === "string" ? find(name)?.definition : undefined;
  if (tool === undefined) return undefined;
  for (const { header, path } of headersOf(tool)) {
    const problem = differs(header, headers, argumentAt(args, path), headerText);
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
const known = new WeakMap<ToolDefinition, readonly ParamHeader[]>();

/** Those that repeat arguments; of a tool that is wrong in what it says of them, none. */
function headersOf(tool: ToolDefinition): readonly ParamHeader[] {
  let found = known.get(tool);
  if (found === undefined) {
    const read = paramHeaders(tool);
    found = typeof read === "string" ? [] : read;
    known.set(tool, found);
  }
  return found;
}
