import type { JsonObject } from "../call.ts";
import { isObject } from "../wire.ts";

/** Where requests without a session say what they are. */
export const versionKey = "io.modelcontextprotocol/protocolVersion";
export const capabilitiesKey = "io.modelcontextprotocol/clientCapabilities";

/** Whether a request is of the era without sessions (2026-07-28 and later), where each says so of itself. */
export function isStateless({ method, params }: JsonObject): boolean {
  if (method === "server/discover") return true;
  const meta = isObject(params) ? params["_meta"] : undefined;
  return isObject(meta) && (meta[versionKey] !== undefined || meta[capabilitiesKey] !== undefined);
}
