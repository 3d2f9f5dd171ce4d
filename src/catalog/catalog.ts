import type { JsonObject, Tool, ToolDefinition, Effect } from "../call.ts";
import { isObject } from "../wire.ts";
import { effectOf } from "./effects.ts";
import { matchesAny } from "./glob.ts";
import { exposedName, hashedName, type Named, type NameOptions } from "./names.ts";

/** What config may say otherwise about a tool. */
export interface Override {
  readonly effect?: Effect;
  readonly title?: string;
  readonly description?: string;
  readonly annotations?: JsonObject;
}

/** The tools of one upstream, and how they are to be shown. */
export interface Shelf {
  readonly upstream: string;
  readonly prefix: string;
  readonly trust: boolean;
  /** Patterns over the upstream's own names. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** By the upstream's own name. */
  readonly overrides: ReadonlyMap<string, Override>;
  readonly tools: readonly ToolDefinition[];
}

/** All tools by exposed name, in the order in which they are listed. */
export type Catalog = ReadonlyMap<string, Tool>;

/**
 * Names all tools. Of several that want one name, the first shelf's has it (within a shelf the one that
 * spells it so, else the first in alphabetical order); the others get a hashed name. So names depend on
 * config and tools alone, never on who came first.
 */
export function buildCatalog(shelves: readonly Shelf[], names: NameOptions): Catalog {
  const taken = new Map<string, Tool>();
  const listed = shelves.flatMap((shelf) => {
    const shown = shelf.tools.filter(({ name }) => isShown(shelf, name));
    const byRank = shown.toSorted((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
    const exposed = new Map<ToolDefinition, Tool>();
    for (const definition of byRank) {
      const { upstream, prefix } = shelf;
      const name = freeName({ upstream, prefix, tool: definition.name }, names, taken);
      if (name === undefined) continue; // the same tool twice
      const tool = expose(shelf, definition, name);
      taken.set(name, tool);
      exposed.set(definition, tool);
    }
    return shown.map((definition) => exposed.get(definition)).filter((tool) => tool !== undefined);
  });
  return new Map(listed.map((tool) => [tool.name, tool]));
}

const isShown = ({ allow, deny }: Shelf, name: string): boolean =>
  matchesAny(allow, name) && !matchesAny(deny, name);

/** Tools whose name needs no change come first. */
const rank = ({ name }: ToolDefinition): number => (/^[A-Za-z0-9_-]+$/.test(name) ? 0 : 1);

function freeName(
  named: Named,
  names: NameOptions,
  taken: ReadonlyMap<string, Tool>,
): string | undefined {
  const plain = exposedName(named, names);
  if (!taken.has(plain)) return plain;
  const hashed = hashedName(named, names);
  return taken.has(hashed) ? undefined : hashed;
}

function expose(shelf: Shelf, definition: ToolDefinition, name: string): Tool {
  const {
    title,
    description,
    annotations,
    effect: configured,
  } = shelf.overrides.get(definition.name) ?? {};
  const server = isObject(definition["annotations"]) ? definition["annotations"] : undefined;
  const { effect, source } = effectOf(configured, server, annotations, shelf.trust);
  return {
    name,
    upstream: shelf.upstream,
    remoteName: definition.name,
    effect,
    effectSource: source,
    definition: {
      ...definition,
      name,
      ...(title !== undefined && { title }),
      ...(description !== undefined && { description }),
      ...(annotations !== undefined && { annotations: { ...server, ...annotations } }),
    },
  };
}
