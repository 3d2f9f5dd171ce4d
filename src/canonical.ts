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
export function canonical(value: unknown): string {
  switch (typeof value) {
    case "string":
      return quoted(value);
    case "number":
      return Number.isFinite(value) ? `${value}` : "null";
    case "object":
      if (value === null) return "null";
      if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
      return `{${membersText(value as JsonObject)}}`;
    default:
      return JSON.stringify(value ?? null);
  }
}

/** What tells a call from others: calls with the same key ask the same of the same upstream. */
export function callKey({ upstream, method, tool, params, meta }: Call): string {
  const metaText = meta === undefined ? "" : membersText(meta, tracing);
  // Only the last part can hold a line break, so that no two keys run into each other.
  return `${membersText(params)}\n${metaText}\n${upstream}\n${method}\n${tool?.remoteName ?? ""}`;
}

function membersText(object: JsonObject, without?: ReadonlySet<string>): string {
  let text = "";
  for (const key of sortedKeys(object)) {
    const member = object[key];
    if (member === undefined || without?.has(key) === true) continue;
    text += `${text === "" ? "" : ","}${quoted(key)}:${canonical(member)}`;
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

/** Texts that need no escape. */
const plain = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;

/** The same as JSON.stringify, in half the time for short plain texts. */
const quoted = (text: string): string =>
  text.length < 64 && plain.test(text) ? `"${text}"` : JSON.stringify(text);
