import type { Effect, JsonObject } from "../call.ts";
import type { PolicyOptions } from "../policies/all-options.ts";
import type { Variables } from "./expand.ts";
import { resolveBudgets, resolvePolicies } from "./policies.ts";
import type { BudgetAccount, PolicyLevel } from "./policies.ts";
import { defaultStartTimeoutMs, toolRules } from "./schema.ts";
import type { Policies, ServerEntry, Verify } from "./schema.ts";
import { resolveTransport, writtenTransport } from "./transport.ts";
import type { Transport } from "./transport.ts";

/** Changes to one tool. */
export interface ToolOverride {
  readonly effect?: Effect;
  readonly title?: string;
  readonly description?: string;
  /** Replace the tool's own, key by key. */
  readonly annotations?: JsonObject;
  readonly costUsd?: number;
  /** Globs of exposed names. */
  readonly invalidates?: readonly string[];
  /** With expressions. */
  readonly supersede?: string;
  readonly verify?: Verify;
  readonly policies: PolicyOptions;
  readonly budgets: readonly BudgetAccount[];
}

/** A server as it is to be run: nothing is left to merge or to expand. */
export interface ServerConfig {
  readonly name: string;
  /** As written: it may hold characters that no tool name may have. */
  readonly prefix: string;
  readonly trust: boolean;
  readonly startTimeoutMs: number;
  /** 0: never. */
  readonly idleStopMs: number;
  /** Not expanded where the server is disabled, not in full where it has a problem. */
  readonly transport: Transport;
  /** Globs of tools, by the server's own names. */
  readonly allow: readonly string[];
  /** Wins over `allow`. */
  readonly deny: readonly string[];
  /** By the server's own names of the tools. */
  readonly overrides: ReadonlyMap<string, ToolOverride>;
  /** Of tools without an override, and of calls that concern no tool. */
  readonly policies: PolicyOptions;
  readonly budgets: readonly BudgetAccount[];
  readonly disabled: boolean;
  /** Why the server cannot be run, without any secret. */
  readonly problem?: string;
}

/** What a server takes from around it. */
interface Surroundings {
  readonly variables: Variables;
  /** The file's own. */
  readonly policies: Policies | undefined;
  /** Answers with the text of a file, or throws. */
  readonly readFile: (path: string) => string;
}

/** The server that `entry` describes. */
export function resolveServer(
  name: string,
  entry: ServerEntry,
  around: Surroundings,
): ServerConfig {
  const disabled = entry.disabled || !entry.enabled;
  const { transport, problems } = disabled
    ? { transport: writtenTransport(entry, around.variables), problems: [] }
    : resolveTransport(entry, around.variables, around.readFile);
  const { tools = {} } = entry;
  const rules = toolRules.parse(Array.isArray(tools) ? { allow: tools } : tools);
  const levels: PolicyLevel[] = [
    around.policies,
    entry.requestTimeout === undefined
      ? undefined
      : { timeout: { attemptMs: entry.requestTimeout } },
    entry.policies,
  ];
  const policies = resolvePolicies(levels);
  const accounts = [
    { account: "all", policies: around.policies },
    { account: `server ${name}`, policies: entry.policies },
  ];
  const overrides = new Map(
    Object.entries(rules.overrides).map(([tool, { policies: own, ...changes }]) => [
      tool,
      {
        ...changes,
        policies: resolvePolicies([...levels, own], policies),
        budgets: resolveBudgets([...accounts, { account: `tool ${name} ${tool}`, policies: own }]),
      },
    ]),
  );
  return {
    name,
    prefix: entry.prefix ?? name,
    trust: entry.trust,
    startTimeoutMs: entry.startTimeoutMs ?? entry.connectionTimeout ?? defaultStartTimeoutMs,
    idleStopMs: entry.idleStopMs,
    transport,
    allow: rules.allow,
    deny: [...rules.deny, ...entry.disabledTools],
    overrides,
    policies,
    budgets: resolveBudgets(accounts),
    disabled,
    ...(problems.length > 0 && { problem: problems.join("; ") }),
  };
}

/** The policies of calls of a tool, by the server's own name of it; without a name those of all else. */
export const policiesOf = (server: ServerConfig, tool?: string): PolicyOptions =>
  (tool === undefined ? undefined : server.overrides.get(tool)?.policies) ?? server.policies;

/** All policies that calls of a server may be under: its own, and those of each tool that config singles out. */
export const allPoliciesOf = ({ policies, overrides }: ServerConfig): readonly PolicyOptions[] => [
  policies,
  ...[...overrides.values()].map((override) => override.policies),
];
