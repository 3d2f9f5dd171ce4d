import type { JsonObject, Result, Tool } from "../call.ts";
import type { Cancel } from "../cancel.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { textOf } from "../classify.ts";
import { CallError } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { ownName } from "../own/own-tools.ts";
import { parentOf } from "../trace.ts";
import { implementation } from "../version.ts";
import { sessionAfter, type CloudEvent } from "./cloud-event.ts";
import type { RunOptions } from "./events-options.ts";

/** The way from events to tools. */
export type Door = Pick<Gateway, "catalog" | "callTool" | "findTool">;

/** Who is behind a call that events cause. */
export interface Cause {
  readonly principal: string;
  /** How many events led to it. */
  readonly depth: number;
  readonly trace?: string | undefined;
  /** The one event that a chain or a saga is started by; its definition can read it. */
  readonly event?: CloudEvent | undefined;
  readonly signal: Cancel;
}

/** How people call what is run. */
export const nameOf = ({ tool, chain, saga }: RunOptions): string =>
  tool ?? (chain === undefined ? `the saga ${saga}` : `the chain ${chain}`);

/** The tool that is meant, as far as it is listed. A chain or a saga is a tool of ours with its name. */
export function listedTool(run: RunOptions, { tools }: Pick<Catalog, "tools">): Tool | undefined {
  if (run.tool !== undefined) return tools.get(run.tool);
  const name = run.chain ?? run.saga;
  for (const tool of tools.values())
    if (tool.upstream === ownName && tool.remoteName === name) return tool;
  return undefined;
}

/** The same, also where its server does not list it yet. */
export const toolOf = (run: RunOptions, door: Door): Tool | undefined =>
  listedTool(run, door.catalog) ??
  (run.tool === undefined ? undefined : door.findTool(run.tool, true));

/**
 * Calls a tool through the whole stack, as whoever the events belong to. Its session tells that events caused it,
 * and how many. Rejects with a CallError, also where the tool says no.
 */
export async function callFor(
  door: Door,
  tool: Tool,
  args: JsonObject,
  { principal, depth, trace, event, signal }: Cause,
): Promise<Result> {
  const caller = { principal, session: sessionAfter(depth), client: implementation.name };
  const _meta = {
    ...(trace !== undefined && { traceparent: parentOf(trace) }),
    // No server is told what is meant for a definition of ours.
    ...(tool.upstream === ownName && event !== undefined && { "holdfast/event": event }),
  };
  const result = await door.callTool(tool, { arguments: args, _meta }, { caller, signal });
  if (result["isError"] !== true) return result;
  throw new CallError("upstream_error", `${tool.name} said: ${textOf(result)}`, {
    outcome: "answered",
    upstream: tool.upstream,
  });
}
