/*
 * Holdfast's own tools, and what they need to know of all the rest.
 */
import type { Events } from "./bus/events.ts";
import type { Call, Caller, Deadline, JsonObject, Result, Tool } from "./call.ts";
import { matchesAny } from "./catalog/glob.ts";
import type { Config } from "./config/load.ts";
import { allPoliciesOf, type ServerConfig } from "./config/server.ts";
import type { Report } from "./events.ts";
import type { Entry, Gateway } from "./gateway.ts";
import { groupTool, type Providers } from "./groups/group-tool.ts";
import type { Metrics } from "./observe/metrics.ts";
import { batchTool } from "./own/batch-tool.ts";
import { flushEventsTool } from "./own/flush-events-tool.ts";
import { findProvidersTool } from "./own/find-providers-tool.ts";
import { invalidateCacheTool } from "./own/invalidate-cache-tool.ts";
import { OwnTools, ownName, unknownTool, type OwnTool } from "./own/own-tools.ts";
import { publishEventTool } from "./own/publish-event-tool.ts";
import { queryAuditTool, queryEventsTool } from "./own/query-event-tools.ts";
import { readResultTool } from "./own/read-result-tool.ts";
import { statusTool } from "./own/status-tool.ts";
import { subscribeEventTool, unsubscribeEventTool } from "./own/subscribe-event-tools.ts";
import { observe } from "./policies/observe.ts";
import type { PolicyOptions } from "./policies/all-options.ts";
import { deadline } from "./policies/timeout.ts";
import { timeoutOptions } from "./policies/timeout-options.ts";
import type { KeptResults } from "./results/kept-results.ts";
import type { Invalidation } from "./stores/store.ts";
import { runTools } from "./own/run-tools.ts";
import type { Door } from "./workflows/call-step.ts";
import type { Runs } from "./workflows/runs.ts";
import { workflowTool } from "./workflows/workflow-tool.ts";
import type { Workflows } from "./workflows/workflows.ts";

/** What the own tools stand on. */
export interface OwnSurroundings {
  readonly gateway: Gateway;
  readonly report: Report;
  readonly metrics: Metrics;
  readonly results: KeptResults;
  readonly events: Events;
  readonly status: (caller: Caller) => Promise<JsonObject>;
  readonly invalidate: (what: Invalidation) => Promise<number>;
  readonly isHealthy: (upstream: string) => Promise<boolean>;
  readonly runs: Runs;
  /** Of the config that is in force. */
  readonly workflows: () => Workflows;
  readonly door: Door;
}

/** The total time of a call of a group. */
const groupTime = timeoutOptions.parse({});

/** The entry of Holdfast's own tools, as config has them. */
export function ownEntry(config: Config, around: OwnSurroundings): Entry {
  const { builtins, groups, workflows, servers } = config;
  const { gateway, report, results } = around;
  const providers = providersOf(around);
  const tools: OwnTool[] = [
    statusTool(around.status),
    ...(someUse(servers, isCached) ? [invalidateCacheTool(around.invalidate)] : []),
    batchTool({
      knows: (name) => remote(gateway, name) !== undefined,
      forbids: (name) => {
        const tool = remote(gateway, name);
        return tool && around.workflows().forbids(tool);
      },
      callTool: (name, args, from) => {
        const tool = remote(gateway, name);
        if (tool === undefined) return Promise.reject(unknownTool(name));
        return gateway.callTool(tool, { arguments: args }, from);
      },
    }),
    ...(someUse(servers, isGuarded) ? [readResultTool(results)] : []),
    ...eventTools(config, around.events),
    ...(groups.size > 0 ? [findProvidersTool(groups, providers)] : []),
    ...[...groups].map(([name, group]) => groupTool(name, group, providers)),
    ...runTools(around),
    ...[...workflows].map(([name, workflow]) =>
      workflowTool(name, workflow, around.workflows, around.door),
    ),
  ];
  const byName = new Map(tools.map((tool) => [nameOf(tool), tool]));
  return {
    upstream: new OwnTools(
      byName,
      ({ params, caller }) => results.read(String(params["uri"]), caller),
      // Who is not offered the tool is not offered the resources either.
      matchesAny(builtins, "query_events") ? around.events.resources : undefined,
    ),
    shelf: {
      prefix: ownName,
      trust: true,
      allow: [...builtins, ...groups.keys(), ...workflows.keys()],
      deny: [],
      overrides: new Map(),
    },
    isDerived: true,
    stack: [
      observe(report),
      deadline(({ tool }) => groups.has(tool?.remoteName ?? "") && groupTime),
    ],
  };
}

/** Those that are of use: there is nothing to query or to flush where config does not say so. */
const eventTools = ({ events: { audit, sinks } }: Config, events: Events): OwnTool[] => [
  publishEventTool(events),
  subscribeEventTool(events),
  unsubscribeEventTool(events),
  queryEventsTool(events),
  ...(audit === undefined ? [] : [queryAuditTool(events)]),
  ...(audit === undefined && sinks.length === 0 ? [] : [flushEventsTool(events)]),
];

/** Whether anything in config switches a policy on; a tool that is of no use would only be in the way. */
const someUse = (
  servers: readonly ServerConfig[],
  isOn: (policies: PolicyOptions) => boolean,
): boolean => servers.some((server) => allPoliciesOf(server).some(isOn));

const isCached = ({ cache }: PolicyOptions): boolean => cache !== false && cache.enabled;
const isGuarded = ({ result }: PolicyOptions): boolean => result !== false && result.maxBytes > 0;

const nameOf = ({ definition }: OwnTool): string =>
  (typeof definition === "function" ? definition() : definition).name;

/** The tool of that name, unless it is one of Holdfast's own: no tool runs itself. */
function remote(gateway: Gateway, name: string): Tool | undefined {
  const tool = gateway.findTool(name, true);
  return tool?.upstream === ownName ? undefined : tool;
}

const providersOf = ({ gateway, metrics, isHealthy, report }: OwnSurroundings): Providers => ({
  find: (name) => gateway.basis.tools.get(name),
  figures: ({ upstream, name }) => metrics.ofTool(upstream, name),
  isHealthy: ({ upstream }) => isHealthy(upstream),
  call: (tool: Tool, args: JsonObject, call: Call, until: Deadline): Promise<Result> =>
    gateway.callTool(
      tool,
      { arguments: args, ...(call.meta !== undefined && { _meta: call.meta }) },
      {
        caller: call.caller,
        signal: call.signal,
        onProgress: call.onProgress,
        deadline: until,
        fresh: call.fresh,
      },
    ),
  report,
});
