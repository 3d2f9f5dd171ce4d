import type { Effect } from "../call.ts";
import type { Config } from "../config/load.ts";
import { policiesOf } from "../config/server.ts";
import { policyOptions, type PolicyOptions } from "../policies/all-options.ts";
import { openFor } from "./open.ts";
import { table, type Output } from "./output.ts";
import { findTool } from "./tools.ts";

/** `holdfast explain TOOL`: what a tool may do, where that comes from, and what follows for its calls. */
export async function explain(
  file: string | undefined,
  name: string,
  output: Output,
): Promise<number> {
  const { tool, config } = await openFor(
    file,
    async (opened) => ({ tool: await findTool(opened, name), config: opened.config }),
    { passive: true },
  );
  const { upstream, remoteName, effect, effectSource } = tool;
  const policies = inForce(config, upstream, remoteName, effect);
  const facts = { name, server: upstream, tool: remoteName, effect, effectSource, policies };
  if (output.json) output.line(JSON.stringify(facts));
  else
    for (const row of table([
      ["tool", name],
      ["server", `${upstream}, where it is called ${remoteName}`],
      ["effect", `${effect} (${effectSource})`],
      ["meaning", meanings[effect]],
      ...Object.entries(policies).map(([policy, options]) => [policy, inWords(options)]),
    ]))
      output.line(row);
  return 0;
}

const meanings = {
  read: "it changes nothing: it may be repeated, kept and shared",
  idempotent: "calling it again changes nothing more: it may be repeated",
  write:
    "each call may change something: it is repeated only where nothing was done, or where config allows it",
} as const;

/** Policies that change how often an upstream is asked, which is for reads alone. */
const readsOnly = ["cache", "coalesce", "hedge"] as const;

/** The policies of a tool that its effect lets be; false where one is off. Own tools have none. */
function inForce(
  config: Config,
  upstream: string,
  remoteName: string,
  effect: Effect,
): Partial<PolicyOptions> {
  const server = config.servers.find(({ name }) => name === upstream);
  if (server === undefined) return {};
  const policies: Record<string, unknown> = { ...policiesOf(server, remoteName) };
  for (const name of readsOnly) {
    const options = policiesOf(server, remoteName)[name];
    if (effect !== "read" || options === false || !options.enabled) policies[name] = false;
  }
  return Object.fromEntries(Object.keys(policyOptions).map((name) => [name, policies[name]]));
}

const inWords = (options: object | false): string =>
  options === false
    ? "off"
    : Object.entries(options)
        .map(
          ([name, value]) =>
            `${name} ${typeof value === "string" ? value || '""' : JSON.stringify(value)}`,
        )
        .join(", ");
