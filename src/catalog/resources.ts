import type { JsonObject, Lists } from "../call.ts";
import { uiOf } from "./apps.ts";
import { matches } from "./glob.ts";

/** A resource or template, and where it is. */
export interface Located {
  readonly upstream: string;
  /** What clients are shown. */
  readonly definition: JsonObject;
}

/** Where a resource is asked for, under the upstream's own URI. */
export interface Location {
  readonly upstream: string;
  readonly uri: string;
}

export interface Resources {
  readonly resources: readonly Located[];
  readonly resourceTemplates: readonly Located[];
  /** The places where a URI may be found, the best first; empty where none is known. */
  readonly locate: (uri: string) => Location[];
}

const scheme = "holdfast://";

/** The URI under which a resource can be had from one server, whatever others offer. */
export const qualifiedUri = (upstream: string, uri: string): string =>
  `${scheme}${encodeURIComponent(upstream)}/${uri}`;

/** The two parts of a qualified URI. */
export function parseQualified(uri: string): Location | undefined {
  const slash = uri.indexOf("/", scheme.length);
  if (!uri.startsWith(scheme) || slash === -1) return undefined;
  try {
    const upstream = decodeURIComponent(uri.slice(scheme.length, slash));
    return { upstream, uri: uri.slice(slash + 1) };
  } catch {
    return undefined;
  }
}

/** A URI that several servers offer belongs to the first; the others' are listed under their qualified URIs. */
export function exposeResources(
  stocks: readonly { readonly upstream: string; readonly lists: Lists }[],
): Resources {
  const resources = exposeBy("uri", "resources", stocks);
  const templates = exposeBy("uriTemplate", "resourceTemplates", stocks);
  const owners = new Map([...appsOf(stocks), ...resources.owners]);
  return {
    resources: resources.located,
    resourceTemplates: templates.located,
    locate(uri) {
      const qualified = parseQualified(uri);
      if (qualified !== undefined) return [qualified];
      const owner = owners.get(uri) ?? templates.owners.get(uri);
      if (owner !== undefined) return [{ upstream: owner, uri }];
      return [...templates.owners]
        .filter(([template]) => matchesTemplate(template, uri))
        .map(([, upstream]) => ({ upstream, uri }));
    },
  };
}

function exposeBy(
  key: "uri" | "uriTemplate",
  list: "resources" | "resourceTemplates",
  stocks: readonly { readonly upstream: string; readonly lists: Lists }[],
): { located: Located[]; owners: Map<string, string> } {
  const owners = new Map<string, string>();
  const located = stocks.flatMap(({ upstream, lists }) =>
    lists[list].flatMap((definition) => {
      const uri = definition[key];
      if (typeof uri !== "string") return [];
      const owner = owners.get(uri);
      if (owner === undefined) owners.set(uri, upstream);
      const taken = owner !== undefined && owner !== upstream;
      const shown = taken ? { ...definition, [key]: qualifiedUri(upstream, uri) } : definition;
      return { upstream, definition: shown };
    }),
  );
  return { located, owners };
}

/** Resources that tools name as their user interface (MCP Apps), which servers need not list. */
const appsOf = (
  stocks: readonly { readonly upstream: string; readonly lists: Lists }[],
): [string, string][] =>
  stocks.toReversed().flatMap(({ upstream, lists }) =>
    lists.tools.flatMap((tool): [string, string][] => {
      const uri = uiOf(tool)?.["resourceUri"];
      return typeof uri === "string" ? [[uri, upstream]] : [];
    }),
  );

/** Characters; what is longer matches no template, since the time it takes grows with both. */
const longest = 4096;

/** Good enough to find the server, which then looks closer itself: each `{…}` stands for anything. */
const matchesTemplate = (template: string, uri: string): boolean =>
  Math.max(template.length, uri.length) <= longest &&
  matches(template.replace(/[*?]/g, "?").replace(/\{[^{}]*\}/g, "*"), uri);
