import { randomBytes } from "node:crypto";
import type { JsonObject } from "./call.ts";

/** https://www.w3.org/TR/trace-context/#traceparent-header */
const traceparent = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;
/** All bytes, in hex. */
const bytes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
let prefix = "";
let count = 0;

/** The trace id of the caller's `traceparent`, else a new one: 32 hex digits. */
export function newTrace(meta: JsonObject | undefined): string {
  const given = meta?.["traceparent"];
  return (typeof given === "string" ? traceparent.exec(given)?.[1] : undefined) ?? nextTrace();
}

/** Random but for the last 4 digits, which count: new randomness takes longer than the rest of a call. */
function nextTrace(): string {
  if (count === 0) prefix = randomBytes(14).toString("hex");
  const low = count;
  count = (count + 1) & 0xffff;
  return prefix + bytes[low >> 8]! + bytes[low & 0xff]!;
}

/** The `traceparent` of a call that is made within a trace. */
export const parentOf = (trace: string): string =>
  `00-${trace}-${randomBytes(8).toString("hex")}-01`;
