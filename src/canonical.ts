import type { Call, JsonObject } from "./call.ts";

/** Members of `_meta` that name or follow one call, and do not change its answer. */
const tracing: ReadonlySet<string> = new Set([
  "traceparent",
  "tracestate",
  "baggage",
  "progressToken",
  "claudecode/toolUseId",
]);

/** A JSON value as text, the members of objects sorted by key at all depths: equal values have equal texts. */
export const canonical = (value: unknown): string =>
  isSorted(value) ? JSON.stringify(value ?? null) : sorted(value);

/** Whether JSON.stringify gives the members of all its objects in order, as it does in a third of the time. */
function isSorted(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return value.every(isSorted);
  let last = "";
  for (const key of Object.keys(value)) {
    if (key < last || !isSorted((value as JsonObject)[key])) return false;
    last = key;
  }
  return true;
}

function sorted(value: unknown): string {
  switch (typeof value) {
    case "object":
      if (value === null) return "null";
      if (Array.isArray(value)) return `[${value.map(sorted).join()}]`;
      return `{${membersText(value as JsonObject)}}`;
    default:
      return JSON.stringify(value ?? null);
  }
}

/** Whose calls may share answers: those of the same scope. Undefined: the call shares none with any. */
export type ScopeOf = (call: Call) => string | undefined;

/** A key with the scope of its call; undefined where it shares no answers. */
export function scopedKey(call: Call, key: string, scopeOf?: ScopeOf): string | undefined {
  const scope = scopeOf === undefined ? "" : scopeOf(call);
  return scope === "" ? key : scope && `${scope}\n${key}`;
}

/** What tells a call from others: calls with the same key ask the same of the same upstream. */
export function callKey({ upstream, method, tool, params, meta }: Call): string {
  const metaText = meta === undefined ? "" : membersText(meta, tracing);
  // Only the last part can hold a line break, so that no two keys run into each other.
  return `${tool === undefined ? canonical(params) : paramsText(params)}\n${metaText}\n${upstream}\n${method}\n${tool?.remoteName ?? ""}`;
}

/** Of a call of a tool its arguments, since its name is part of the key anyway. */
function paramsText(params: JsonObject): string {
  for (const member in params)
    if (member !== "name" && member !== "arguments") return canonical(params);
  return canonical(params["arguments"]);
}

function membersText(object: JsonObject, without?: ReadonlySet<string>): string {
  let text = "";
  for (const key of sortedKeys(object)) {
    const member = object[key];
    if (member === undefined || without?.has(key) === true) continue;
    text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${sorted(member)}`;
  }
  return text;
}

function sortedKeys(object: JsonObject): readonly string[] {
  const keys = Object.keys(object);
  let last = "";
  for (const key of keys) {
    if (key < last) return keys.toSorted();
    last = key;
  }
  return keys;
}
