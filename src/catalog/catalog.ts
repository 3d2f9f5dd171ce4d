import type { Effect, JsonObject, Lists, Tool, ToolDefinition } from "../call.ts";
import { isObject } from "../wire.ts";
import { appTools } from "./apps.ts";
import { assignNames } from "./assign.ts";
import { effectOf } from "./effects.ts";
import { matchesAny } from "./glob.ts";
import type { NameOptions } from "./names.ts";
import { exposeResources, type Resources } from "./resources.ts";

/** What config may say otherwise about a tool. */
export interface Override {
  readonly effect?: Effect;
  readonly title?: string;
  readonly description?: string;
  readonly annotations?: JsonObject;
}

/** How what an upstream lists is to be shown. */
export interface Shelf {
  readonly prefix: string;
  readonly trust: boolean;
  /** Patterns over the upstream's own names of tools. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** By the upstream's own name. */
  readonly overrides: ReadonlyMap<string, Override>;
}

/** An upstream, what it lists, and how that is to be shown. */
export interface Stock {
  readonly upstream: string;
  readonly shelf: Shelf;
  readonly lists: Lists;
}

/** A prompt as clients see it, and how to reach it. */
export interface Prompt {
  readonly upstream: string;
  readonly remoteName: string;
  readonly definition: JsonObject;
}

/** Everything that clients can list, in the order in which it is listed. */
export interface Catalog extends Resources {
  /** By exposed name. */
  readonly tools: ReadonlyMap<string, Tool>;
  /** By the name that servers' own user interfaces know. */
  readonly appTools: ReadonlyMap<string, Tool>;
  /** By exposed name. */
  readonly prompts: ReadonlyMap<string, Prompt>;
}

/** The order of `stocks` is the order of the lists, and decides who gets what several want. */
export function buildCatalog(stocks: readonly Stock[], names: NameOptions): Catalog {
  const shelves = new Map(stocks.map(({ upstream, shelf }) => [upstream, shelf]));
  const tools = assignNames(
    stocks.map(({ upstream, shelf, lists }) => ({
      upstream,
      prefix: shelf.prefix,
      items: lists.tools.filter(({ name }) => isShown(shelf, name)),
    })),
    names,
  ).map(({ name, upstream, item }) => exposeTool(upstream, shelves.get(upstream), item, name));
  const prompts = assignNames(
    stocks.map(({ upstream, shelf, lists }) => ({
      upstream,
      prefix: shelf.prefix,
      items: lists.prompts.filter(isNamed),
    })),
    names,
  );
  return {
    tools: new Map(tools.map((tool) => [tool.name, tool])),
    appTools: appTools(tools),
    prompts: new Map(
      prompts.map(({ name, upstream, item }) => [
        name,
        { upstream, remoteName: item.name, definition: { ...item, name } },
      ]),
    ),
    ...exposeResources(stocks),
  };
}

/** Whether config lets clients see a tool, by the upstream's own name. */
export const isShown = ({ allow, deny }: Shelf, name: string): boolean =>
  matchesAny(allow, name) && !matchesAny(deny, name);

const isNamed = (item: JsonObject): item is JsonObject & { name: string } =>
  typeof item["name"] === "string";

/** A tool under its exposed name, as its shelf wants it shown. */
export function exposeTool(
  upstream: string,
  shelf: Shelf | undefined,
  definition: ToolDefinition,
  name: string,
): Tool {
  const {
    title,
    description,
    annotations,
    effect: configured,
  } = shelf?.overrides.get(definition.name) ?? {};
  const server = isObject(definition["annotations"]) ? definition["annotations"] : undefined;
  const { effect, source } = effectOf(configured, server, annotations, shelf?.trust ?? false);
  return {
    name,
    upstream,
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
