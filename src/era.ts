/*
 * Two eras of the protocol are alive. From this version on there is no session: each request says for itself what
 * it is, who sends it and what that client can do.
 */
import type { JsonObject } from "./call.ts";
import { implementation } from "./version.ts";
import { isObject } from "./wire.ts";

/** The version of the newer era that we speak. */
export const modernVersion = "2026-07-28";

/** The versions of the older era that we speak, the newest first. */
export const olderVersions: readonly string[] = [
  "2025-11-25",
  "2025-06-18",
  "2025-03-26",
  "2024-11-05",
  "2024-10-07",
];

/** Whether a version is of the newer era; versions are dates. */
export const isModern = (version: string): boolean => version >= modernVersion;

const prefix = "io.modelcontextprotocol/";

/** Members of `_meta` that the newer era gives a meaning. */
export const metaKeys = {
  protocolVersion: `${prefix}protocolVersion`,
  clientInfo: `${prefix}clientInfo`,
  clientCapabilities: `${prefix}clientCapabilities`,
  logLevel: `${prefix}logLevel`,
  serverInfo: `${prefix}serverInfo`,
  subscriptionId: `${prefix}subscriptionId`,
} as const;

/** The extension by which a server answers a call with a task. */
export const tasksExtension = `${prefix}tasks`;
/** The extension by which a tool has a user interface (MCP Apps). */
export const appsExtension = `${prefix}ui`;

/** Errors of the newer era alone. */
export const modernErrors = {
  headerMismatch: -32020,
  missingCapability: -32021,
  unsupportedVersion: -32022,
} as const;

/** What each request carries in its `_meta`: who sends it, which is us, and what the client behind it can do. */
export const envelope = (capabilities: JsonObject): JsonObject => ({
  [metaKeys.protocolVersion]: modernVersion,
  [metaKeys.clientInfo]: implementation,
  [metaKeys.clientCapabilities]: capabilities,
});

/** Whether a client's request is of the newer era, by what it says of itself. */
export function isStateless({ method, params }: JsonObject): boolean {
  if (method === "server/discover") return true;
  const meta = isObject(params) ? params["_meta"] : undefined;
  return (
    isObject(meta) &&
    (meta[metaKeys.protocolVersion] !== undefined ||
      meta[metaKeys.clientCapabilities] !== undefined)
  );
}
