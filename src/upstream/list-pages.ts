import type { JsonObject, Lists } from "../call.ts";
import { isObject } from "../wire.ts";
import type { ListName } from "./connection.ts";

/** More pages than this are taken for a server that never ends. */
const mostPages = 1000;

/** How each list is asked for, and what a server announces that has it. */
const lists: Readonly<Record<ListName, { readonly method: string; readonly capability: string }>> =
  {
    tools: { method: "tools/list", capability: "tools" },
    prompts: { method: "prompts/list", capability: "prompts" },
    resources: { method: "resources/list", capability: "resources" },
    resourceTemplates: { method: "resources/templates/list", capability: "resources" },
  };

/** Asks for one page; undefined where the server does not know the method. */
type Ask = (method: string, params: JsonObject) => Promise<JsonObject | undefined>;

/** Every page of a list; empty where the server did not announce it, or announced it and does not know it. */
export async function listPages<Name extends ListName>(
  list: Name,
  capabilities: JsonObject,
  ask: Ask,
): Promise<Lists[Name]> {
  const { method, capability } = lists[list];
  return (capabilities[capability] === undefined ? [] : await all(list, method, ask)) as never;
}

async function all(member: string, method: string, ask: Ask): Promise<JsonObject[]> {
  const items: JsonObject[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < mostPages; page++) {
    const params = cursor === undefined ? {} : { cursor };
    // oxlint-disable-next-line no-await-in-loop -- each page names the next
    const result = await ask(method, params);
    if (result === undefined) return items;
    const found = result[member];
    if (!Array.isArray(found))
      throw new Error(`${method}: expected a list "${member}", got ${JSON.stringify(found)}`);
    items.push(...found.filter(isObject));
    const next = result["nextCursor"];
    if (typeof next !== "string" || next === cursor) return items;
    cursor = next;
  }
  throw new Error(`${method}: more than ${mostPages} pages`);
}
