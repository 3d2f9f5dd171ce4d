import type { Effect, JsonObject } from "../call.ts";
import { completeTimeout } from "../policies/timeout-options.ts";
import type { TimeoutOptions } from "../policies/timeout-options.ts";
import type { Variables } from "./expand.ts";
import { mergeLevels } from "./levels.ts";
import type { Level } from "./levels.ts";
import { defaultStartTimeoutMs, toolRules } from "./schema.ts";
import type { Policies, ServerEntry } from "./schema.ts";
import { resolveTransport, writtenTransport } from "./transport.ts";
import type { Transport } from "./transport.ts";

/** Changes to one tool. */
interface ToolOverride {
  readonly effect?: Effect;
  readonly title?: string;
  readonly description?: string;
  /** Replace the tool's own, key by key. */
  readonly annotations?: JsonObject;
  readonly timeout: TimeoutOptions | false;
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
  readonly timeout: TimeoutOptions | false;
  /** Of calls of a tool, by the server's own name of it. */
  readonly timeoutOf: (tool: string) => TimeoutOptions | false;
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
  const levels = [
    around.policies?.timeout,
    entry.requestTimeout === undefined ? undefined : { attemptMs: entry.requestTimeout },
    entry.policies?.timeout,
  ];
  const timeout = resolveTimeout(levels);
  const overrides = new Map(
    Object.entries(rules.overrides).map(([tool, { policies, ...changes }]) => [
      tool,
      { ...changes, timeout: resolveTimeout([...levels, policies?.timeout]) },
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
    timeout,
    timeoutOf: (tool) => overrides.get(tool)?.timeout ?? timeout,
    disabled,
    ...(problems.length > 0 && { problem: problems.join("; ") }),
  };
}

/** The timeout of several levels, the outermost first. */
function resolveTimeout(levels: readonly Level<TimeoutOptions>[]): TimeoutOptions | false {
  const written = mergeLevels(levels);
  return written && completeTimeout(written);
}
