import { randomBytes } from "node:crypto";
import type { JsonObject } from "./call.ts";

/** https://www.w3.org/TR/trace-context/#traceparent-header */
const traceparent = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;
const process16 = randomBytes(8).toString("hex");
let count = 0;

/** The trace id of the caller's `traceparent`, else a new one: 32 hex digits. */
export function newTrace(meta: JsonObject | undefined): string {
  const given = meta?.["traceparent"];
  return (
    (typeof given === "string" ? traceparent.exec(given)?.[1] : undefined) ??
    process16 + (++count).toString(16).padStart(16, "0")
  );
}

/** The `traceparent` of a call that is made within a trace. */
export const parentOf = (trace: string): string =>
  `00-${trace}-${randomBytes(8).toString("hex")}-01`;
