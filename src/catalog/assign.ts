import { exposedName, hashedName, type Named, type NameOptions } from "./names.ts";

/** Something with a name, of one upstream. */
interface Item {
  readonly name: string;
}

/** Items of one upstream that want names. */
export interface Group<I extends Item> {
  readonly upstream: string;
  readonly prefix: string;
  readonly items: readonly I[];
}

/** An item, and the name that it got. */
export interface Assigned<I extends Item> {
  readonly name: string;
  readonly upstream: string;
  readonly item: I;
}

/**
 * Names all items, in the order in which they came. Of several that want one name, the first group's has it
 * (within a group the one that spells it so, else the first in alphabetical order); the others get a hashed
 * name. So names depend on config and items alone, never on who came first. Of items of one upstream with one
 * name, the first alone is taken.
 */
export function assignNames<I extends Item>(
  groups: readonly Group<I>[],
  names: NameOptions,
): Assigned<I>[] {
  const taken = new Set<string>();
  return groups.flatMap(({ upstream, prefix, items: all }) => {
    const items = firsts(all);
    const byRank = items.toSorted((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
    const given = new Map<I, string>();
    for (const item of byRank) {
      const name = freeName({ upstream, prefix, tool: item.name }, names, taken);
      if (name === undefined) continue;
      taken.add(name);
      given.set(item, name);
    }
    return items.flatMap((item) => {
      const name = given.get(item);
      return name === undefined ? [] : { name, upstream, item };
    });
  });
}

/** The first of each name. */
function firsts<I extends Item>(items: readonly I[]): I[] {
  const byName = new Map<string, I>();
  for (const item of items) if (!byName.has(item.name)) byName.set(item.name, item);
  return [...byName.values()];
}

/** Those whose name needs no change come first. */
const rank = ({ name }: Item): number => (/^[A-Za-z0-9_-]+$/.test(name) ? 0 : 1);

function freeName(
  named: Named,
  names: NameOptions,
  taken: ReadonlySet<string>,
): string | undefined {
  const plain = exposedName(named, names);
  if (!taken.has(plain)) return plain;
  const hashed = hashedName(named, names);
  return taken.has(hashed) ? undefined : hashed;
}
