import { isObject, valueAt } from "./json-value.ts";
import type { JsonText } from "./jsonc.ts";
import { showPath } from "./problems.ts";
import type { Finding, Path } from "./problems.ts";
import { serverEntry } from "./schema.ts";
import { sections } from "./section-paths.ts";

/** Where the servers stand, in the order of the file. */
const serverPaths = (json: JsonText): Path[] =>
  sections.flatMap((section) => json.keysOf(section).map((name) => [...section, name]));

/** The names of the servers in the order of the file. */
export const serverNames = (json: JsonText): string[] =>
  serverPaths(json).map((path) => String(path.at(-1)));

/** What is wrong with the servers, besides the types of their options. */
export function checkServers(json: JsonText): Finding[] {
  const root = json.value;
  const missing = sections.every((section) => valueAt(root, section) === undefined);
  if (missing && isObject(root) && Object.keys(root).length > 0) {
    const message = 'expected the servers under "mcpServers" (or "servers", as in VS Code)';
    return [{ path: [], message }];
  }
  const seen = new Map<string, Path>();
  return serverPaths(json).flatMap((path) => {
    const name = String(path.at(-1));
    const first = seen.get(name);
    seen.set(name, path);
    const problems = checkTransport(root, path);
    if (first === undefined) return problems;
    return [
      { path, message: `a second server of this name; the first is ${showPath(first)}` },
      ...problems,
    ];
  });
}

/** Whether it can be told what kind of a server stands at `path`. */
function checkTransport(root: unknown, path: Path): Finding[] {
  const server = valueAt(root, path);
  if (!isObject(server)) return [];
  const local = Object.hasOwn(server, "command");
  const remote = Object.hasOwn(server, "url");
  if (local && remote) {
    return [{ path, message: 'expected either "command" or "url", got both' }];
  }
  if (!local && !remote) {
    const message = 'expected "command" (a program to start) or "url" (a remote server)';
    return [{ path, message }];
  }
  const { success, data: type } = serverEntry.shape.type.safeParse(server["type"]);
  // No type is as good as the right one; the schema tells a wrong one.
  if (!success) return [];
  const needed = type === "stdio" || type === "local" ? "command" : "url";
  if (Object.hasOwn(server, needed)) return [];
  const message = `a server of the type ${JSON.stringify(type)} needs "${needed}"`;
  return [{ path: [...path, "type"], message }];
}
