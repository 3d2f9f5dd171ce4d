import type { Catalog } from "./catalog/catalog.ts";
import type { ServerConfig } from "./config/server.ts";
import type { Group } from "./groups/group-options.ts";

/** What config says of tools that are not there, or are not what they have to be; a line for each. */
export function brokenReferences(
  servers: readonly ServerConfig[],
  groups: ReadonlyMap<string, Group>,
  { tools }: Pick<Catalog, "tools">,
): string[] {
  const verifiers = servers.flatMap(({ name, overrides }) =>
    [...overrides].flatMap(([tool, { verify }]) => {
      if (verify === undefined) return [];
      const found = tools.get(verify.tool);
      const what = `${name}: verify of ${tool}: ${verify.tool}`;
      if (found === undefined) return [`${what} is no tool that is there`];
      return found.effect === "read" ? [] : [`${what} does not only read, so it is not asked`];
    }),
  );
  const providers = [...groups].flatMap(([group, { providers: all }]) =>
    all
      .filter(({ tool }) => !tools.has(tool))
      .map(({ tool }) => `the group ${group}: ${tool} is no tool that is there`),
  );
  return [...verifiers, ...providers];
}
