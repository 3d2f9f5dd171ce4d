/*
 * What chains and sagas stand on: the way to the tools, the store of runs, and the user who is asked.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Call, Tool } from "./call.ts";
import { canonical } from "./canonical.ts";
import { exposedName } from "./catalog/names.ts";
import type { Config } from "./config/load.ts";
import type { Report } from "./events.ts";
import type { Gateway } from "./gateway.ts";
import { ownName } from "./own/own-tools.ts";
import type { Peers } from "./peer.ts";
import { openRunStore } from "./stores/runs/open-run-store.ts";
import { now } from "./time.ts";
import type { Door } from "./workflows/call-step.ts";
import { Runs } from "./workflows/runs.ts";
import { toolNames } from "./workflows/workflow-tool.ts";
import { Workflows, type Ask } from "./workflows/workflows.ts";

/** What they need of all the rest. */
export interface WorkflowSurroundings {
  readonly gateway: Gateway;
  readonly peers: Peers;
  readonly report: Report;
  /** Where the store is, unless config says otherwise. */
  readonly folder: string;
  /** The config that is in force. */
  readonly config: () => Config;
  readonly listed: () => Promise<void>;
  /** Ends the servers that dead gateways have left behind. */
  readonly orphansEnded: () => Promise<void>;
}

/** Runs of one process, which outlive a change of config. */
export function runsOf(around: WorkflowSurroundings): Runs {
  const { config, folder, report, listed, orphansEnded } = around;
  // Where runs are kept is settled at the start: those under way cannot move.
  const { store, exists } = runStoreOf(config(), folder, (problem) =>
    report({ type: "gateway.problem", problem }),
  );
  const { runs } = config();
  return new Runs({
    door: doorOf(around),
    store,
    storeExists: exists,
    listed,
    orphansEnded,
    report,
    ...runs,
  });
}

/** The store of runs, which opens itself when first used, and whether there is one already. */
export const runStoreOf = (
  { runStore: where }: Config,
  folder: string,
  onProblem: (problem: string) => void,
) => ({
  store: openRunStore({ where, folder, onProblem }),
  exists: () => storeExists(where, folder),
});

/** The chains and sagas of a config. */
export const workflowsOf = (
  { workflows, inline }: Config,
  runs: Runs,
  around: WorkflowSurroundings,
): Workflows =>
  new Workflows(workflows, inline, {
    runs,
    door: doorOf(around),
    ask: askOf(around),
    listed: around.listed,
  });

function storeExists(where: string, folder: string): boolean {
  if (where.startsWith("postgres")) return true;
  return existsSync(where === "sqlite" ? join(folder, "runs.db") : where.slice("sqlite:".length));
}

/** What workflows may use: all tools but Holdfast's own, of which only those that are made of others. */
export function doorOf({ gateway, config }: WorkflowSurroundings): Door {
  const find: Door["find"] = (name) => {
    const tool = gateway.catalog.tools.get(name);
    if (tool?.upstream !== ownName) return tool;
    const { workflows, groups } = config();
    if (groups.has(tool.remoteName)) return tool;
    const workflow = workflows.get(tool.remoteName);
    if (workflow === undefined)
      return { refused: `${name} is one of Holdfast's own tools, which no step can call` };
    // Called again with its key, a saga is the run that it was.
    return workflow.kind === "saga"
      ? { ...tool, effect: "idempotent", effectSource: "a step's key has one run" }
      : tool;
  };
  /** The names of the tools that one of config's own tools is made of; undefined where it is a server's. */
  const partsOf = (name: string): readonly string[] | undefined => {
    const { workflows, groups, names } = config();
    const own = [...workflows.keys(), ...groups.keys()].find(
      (tool) => exposedName({ upstream: ownName, prefix: ownName, tool }, names) === name,
    );
    const workflow = workflows.get(own ?? "");
    return workflow === undefined
      ? groups.get(own ?? "")?.providers.map(({ tool }) => tool)
      : toolNames(workflow.definition.steps);
  };
  const leaves = (name: string, seen: Set<string>): readonly (Tool | undefined)[] => {
    const parts = partsOf(name);
    if (parts === undefined) return [gateway.basis.tools.get(name)];
    if (seen.has(name)) return [];
    seen.add(name);
    return parts.flatMap((part) => leaves(part, seen));
  };
  /** `known` holds what was found; what is still looked for stands in a circle when it is met again. */
  const depth = (name: string, known: Map<string, number>): number => {
    const parts = partsOf(name);
    if (parts === undefined) return 0;
    const found = known.get(name);
    if (found !== undefined) return found;
    known.set(name, Infinity);
    const deepest = 1 + Math.max(0, ...parts.map((part) => depth(part, known)));
    known.set(name, deepest);
    return deepest;
  };
  return {
    find,
    leaves: (name) => leaves(name, new Set()),
    depth: (name) => depth(name, new Map()),
    names: () => [...gateway.catalog.tools.keys()].filter((name) => isTool(find(name))),
    identity: ({ upstream, remoteName }) => identityOf(config(), upstream, remoteName),
    call: (tool, args, { caller, signal, timeoutMs, meta, fresh }) => {
      const at = timeoutMs === undefined ? Infinity : now() + timeoutMs;
      const own = tool.upstream === ownName && { "holdfast/wait-ms": timeoutMs ?? longestWaitMs };
      return gateway.callTool(
        tool,
        { arguments: args, _meta: { ...meta, ...own } },
        // Progress is asked for so that it can extend the time of a call.
        { caller, signal, deadline: { at, max: at }, fresh, onProgress: () => {} },
      );
    },
  };
}

/** Milliseconds that a step waits for a run that it has started, where it does not say. */
const longestWaitMs = 86_400_000;

const isTool = (found: ReturnType<Door["find"]>): found is Tool =>
  found !== undefined && !("refused" in found);

/** A hash that changes when a tool is another one: of another server, or of one that is run otherwise. */
function identityOf(
  { servers, workflows, groups }: Config,
  upstream: string,
  tool: string,
): string {
  const what =
    upstream === ownName
      ? (workflows.get(tool) ?? groups.get(tool))
      : servers.find(({ name }) => name === upstream)?.transport;
  return createHash("sha256")
    .update(canonical([upstream, tool, what ?? null]))
    .digest("hex");
}

/** Asks the user of the client that calls, where it takes forms. */
const askOf =
  ({ peers }: WorkflowSurroundings): Ask =>
  async ({ caller, signal }: Call, message) => {
    const peer = peers.of(caller);
    if (peer === undefined) return "unable";
    const { elicitation } = await peer.capabilities;
    const takesForms =
      typeof elicitation === "object" &&
      elicitation !== null &&
      (Object.keys(elicitation).length === 0 || "form" in elicitation);
    if (!takesForms) return "unable";
    try {
      const answer = await peer.ask(
        ownName,
        "elicitation/create",
        { message, requestedSchema: { type: "object", properties: {} } },
        signal.abortSignal(),
      );
      return answer["action"] === "accept" ? "yes" : "no";
    } catch {
      if (signal.reason !== undefined) throw signal.reason;
      return "no"; // a client that says that it can ask, and then cannot, has not agreed
    }
  };
