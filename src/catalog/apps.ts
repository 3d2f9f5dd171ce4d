import type { JsonObject, Tool } from "../call.ts";
import { isObject } from "../wire.ts";

/** What a tool says of its user interface (MCP Apps), in the extension's present form or its older one. */
export function uiOf({ _meta: meta }: JsonObject): JsonObject | undefined {
  if (!isObject(meta)) return undefined;
  if (isObject(meta["ui"])) return meta["ui"];
  const resourceUri = meta["ui/resourceUri"];
  return resourceUri === undefined ? undefined : { resourceUri };
}

/**
 * What a server's own user interface may call, by the name that the server gives it: an app knows no prefix, and
 * its host passes the name on as it is. A name that several such servers use is nobody's, since the host does not
 * say whose app calls.
 */
export function appTools(tools: readonly Tool[]): ReadonlyMap<string, Tool> {
  const withApps = new Set(
    tools.flatMap(({ upstream, definition }) =>
      typeof uiOf(definition)?.["resourceUri"] === "string" ? [upstream] : [],
    ),
  );
  const found = new Map<string, Tool | undefined>();
  for (const tool of tools)
    if (withApps.has(tool.upstream) && isForApps(tool.definition))
      found.set(tool.remoteName, found.has(tool.remoteName) ? undefined : tool);
  return new Map([...found].flatMap(([name, tool]) => (tool === undefined ? [] : [[name, tool]])));
}

/** Default: for models and for apps. */
function isForApps(definition: JsonObject): boolean {
  const visibility = uiOf(definition)?.["visibility"];
  return !Array.isArray(visibility) || visibility.includes("app");
}
