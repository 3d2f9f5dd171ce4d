/*
 * From a server's config to what stands behind one name: its connection and its stack.
 */
import type { BudgetLedger } from "./budget-ledger.ts";
import type { Call, JsonObject, Middleware, Tool } from "./call.ts";
import { acceptLists } from "./catalog/accept.ts";
import { allPoliciesOf, type ServerConfig, type ToolOverride } from "./config/server.ts";
import { Epoch } from "./epoch.ts";
import type { Report } from "./events.ts";
import { compileExpression } from "./expressions/expression.ts";
import { compileTemplate } from "./expressions/template.ts";
import type { Entry, Gateway } from "./gateway.ts";
import { redactor, secretsOf } from "./observe/redact.ts";
import type { Peer, Peers } from "./peer.ts";
import type { PolicyOptions } from "./policies/all-options.ts";
import type { CoalesceOptions } from "./policies/coalesce-options.ts";
import type { Keep } from "./policies/result-guard.ts";
import type { Verified } from "./policies/retry.ts";
import { stack, type Stack } from "./policies/stack.ts";
import { valueOf } from "./result-value.ts";
import { MemoryStore } from "./stores/memory.ts";
import type { CacheStore, Invalidation } from "./stores/store.ts";
import type { Connect } from "./upstream/connection.ts";
import { connector } from "./upstream/connector.ts";
import { ManifestFile } from "./upstream/manifest.ts";
import type { ServerRecords } from "./upstream/process.ts";
import { RemoteUpstream } from "./upstream/remote.ts";
import { SharedUpstream } from "./upstream/shared.ts";
import { pause } from "./wait.ts";

/** What servers have in common. */
export interface Services {
  readonly gateway: Gateway;
  readonly asked: { readonly peer: Peer; readonly peers: Peers };
  readonly environment: NodeJS.ProcessEnv;
  readonly folders: { readonly manifests: string; readonly auth: string };
  readonly records?: ServerRecords | undefined;
  readonly report: Report;
  /** Told what must be hidden from now on. */
  readonly secret: (value: string) => void;
  readonly ledger: BudgetLedger;
  readonly keep: Keep;
  readonly spent: (call: Call, usd: number) => void;
  /** A user's own, outermost first. */
  readonly middlewares: readonly Middleware[];
  /** Ends the life of cached answers, at all servers. */
  readonly invalidate: (what: Invalidation) => void;
}

/** A server's connection and what is kept of it, which outlive a change of its policies. */
export interface Started {
  readonly remote: RemoteUpstream;
  /** The same with the connections that are not everybody's. */
  readonly shared: SharedUpstream;
  readonly manifest: ManifestFile;
  readonly epoch: Epoch;
}

/** Builds what `server` describes, which goes on where `predecessor` ends; nothing is connected yet. */
export function startServer(
  server: ServerConfig,
  services: Services,
  predecessor: Started | undefined,
): Started {
  const { name, transport, startTimeoutMs, idleStopMs } = server;
  const { report, environment, records, folders, asked, secret } = services;
  const tell = (problem: string): void =>
    report({ type: "upstream.problem", upstream: name, problem });
  const manifest = new ManifestFile(folders.manifests, transport, tell);
  const disabled = server.disabled ? "it is disabled in config" : server.problem;
  let known = disabled === undefined ? manifest.read() : undefined;
  const asks = known?.asks === true;
  const onAsked = (): void => {
    if (!shared.asked() || known === undefined) return;
    known = { ...known, asks: true };
    manifest.write(known);
  };
  const connectFor = (peer: Peer): Connect =>
    connector(name, transport, {
      environment,
      records,
      asked: { peer, peers: asked.peers, onAsked },
      mask: redactor(secretsOf(transport.kind === "stdio" ? transport.env : {})),
      authFolder: folders.auth,
      secret,
      problem: tell,
      stderr: (line) => report({ type: "upstream.stderr", upstream: name, line }),
    });
  const remote = new RemoteUpstream({
    name,
    startTimeoutMs,
    idleStopMs,
    report,
    disabled,
    predecessor: predecessor?.remote,
    accept: acceptLists(name, report),
    connect: connectFor(asked.peer),
    manifest: known,
    remember: (found) => {
      known = shared.asks ? { ...found, asks: true } : found;
      manifest.write(known);
      services.invalidate({ upstream: name });
    },
  });
  const shared = new SharedUpstream({
    remote,
    asks,
    peers: asked.peers,
    peer: asked.peer,
    predecessor: predecessor?.shared,
    open(peer, idleMs = idleStopMs) {
      let isNew = true;
      return new RemoteUpstream({
        name,
        startTimeoutMs,
        idleStopMs: idleMs,
        // What state the server is in is told by the connection of all.
        report: (event) => event.type === "upstream.state" || report(event),
        accept: (_list, items) => Promise.resolve(items),
        connect: withoutLists(connectFor(peer)),
        manifest: known,
        remember() {
          // Connected anew, or changed: what was read there may be no more.
          if (!isNew) services.invalidate({ upstream: name });
          isNew = false;
        },
      });
    },
  });
  return { remote, shared, manifest, epoch: new Epoch() };
}

/** What a server lists is known already. */
const withoutLists =
  (connect: Connect): Connect =>
  async (...given) => ({ ...(await connect(...given)), list: () => Promise.resolve([]) });

/** An entry, and what is told and done beside its calls. */
export interface ServerEntry extends Entry {
  readonly parts: Stack;
  readonly store: CacheStore;
}

/** The stack of a server, as config has it. */
export function serverEntry(
  server: ServerConfig,
  { remote, shared, epoch }: Started,
  services: Services,
): ServerEntry {
  const { policies, overrides, name } = server;
  const overrideOf = ({ tool }: Call): ToolOverride | undefined =>
    tool === undefined ? undefined : overrides.get(tool.remoteName);
  const all = allPoliciesOf(server);
  const fresh = new Map(all.map((given) => [given, withoutSharing(given)]));
  const policiesOf = (call: Call): PolicyOptions => {
    const given = overrides.size === 0 ? policies : (overrideOf(call)?.policies ?? policies);
    return call.fresh === true ? (fresh.get(given) ?? given) : given;
  };
  const { maxEntries, maxBytes } = largestCache(all);
  const invalidates = mapOf(overrides, ({ invalidates: tools }) => tools);
  const keys = mapOf(overrides, ({ supersede: key }) =>
    key === undefined
      ? undefined
      : compileTemplate(key, { scope: ["arguments"], where: `supersede of ${name}` }),
  );
  const verifiers = mapOf(overrides, ({ verify }) =>
    verify === undefined ? undefined : verifier(verify, services.gateway),
  );
  const costs = [...overrides.values()].some(({ costUsd = 0 }) => costUsd > 0);
  const store = new MemoryStore({ maxEntries, maxBytes });
  const parts = stack({
    upstream: name,
    report: services.report,
    policies,
    policiesOf,
    allPolicies: all,
    middlewares: services.middlewares,
    untilReady: (call) => shared.ready(call),
    scopeOf: (call) => shared.scopeOf(call),
    supersedeKeyOf:
      keys.size === 0
        ? undefined
        : (call) => {
            const key = keys.get(call.tool?.remoteName ?? "");
            return key && JSON.stringify(key.evaluate({ arguments: argumentsOf(call) }));
          },
    coalesceKeyOf: coalesceKeyOf(name, policiesOf),
    verify:
      verifiers.size === 0
        ? undefined
        : (call) => verifiers.get(call.tool?.remoteName ?? "")?.(call),
    costOf: costs ? (call) => overrideOf(call)?.costUsd ?? 0 : undefined,
    budgetsOf: (call) => overrideOf(call)?.budgets ?? server.budgets,
    ledger: services.ledger,
    spent: services.spent,
    store,
    epoch,
    onWrite:
      invalidates.size === 0
        ? undefined
        : ({ tool }) => {
            const tools = invalidates.get(tool?.remoteName ?? "");
            if (tools !== undefined) services.invalidate({ tools });
          },
    keep: services.keep,
  });
  return {
    upstream: shared,
    shelf: server,
    stack: parts.middlewares,
    isAvailable: () =>
      remote.isAvailable && parts.status().circuits.every(({ state }) => state !== "open"),
    parts,
    store,
  };
}

/** All of a server's config that its stack is made of. */
export const stackConfig = ({ policies, budgets, overrides }: ServerConfig): unknown => [
  policies,
  budgets,
  [...overrides].map(([tool, override]) => {
    const {
      policies: own,
      budgets: ownBudgets,
      costUsd,
      invalidates,
      supersede,
      verify,
    } = override;
    return [tool, own, ownBudgets, costUsd, invalidates, supersede, verify];
  }),
];

/** Calls the tools whose answers config wants to have at hand. Failures are told as those of any call. */
export function warm(
  { name, overrides }: ServerConfig,
  gateway: Gateway,
  call: (tool: Tool, args: JsonObject) => void,
): void {
  for (const tool of gateway.catalog.tools.values()) {
    const cache = tool.upstream === name && overrides.get(tool.remoteName)?.policies.cache;
    if (cache !== undefined && cache !== false && cache.enabled)
      for (const args of cache.warm) call(tool, args);
  }
}

/** For a call that wants an answer of its own. */
const withoutSharing = (given: PolicyOptions): PolicyOptions => ({
  ...given,
  cache: false,
  coalesce: false,
});

const argumentsOf = ({ params }: Call): unknown => params["arguments"] ?? {};

/** The overrides for which `make` gives something. */
function mapOf<Value>(
  overrides: ReadonlyMap<string, ToolOverride>,
  make: (override: ToolOverride) => Value | undefined,
): Map<string, Value> {
  return new Map(
    [...overrides].flatMap(([tool, override]) => {
      const value = make(override);
      return value === undefined ? [] : [[tool, value] as const];
    }),
  );
}

/** One store serves all tools of a server, so the largest limits count. */
function largestCache(all: readonly PolicyOptions[]) {
  const caches = all.flatMap(({ cache }) => (cache === false ? [] : [cache]));
  return {
    maxEntries: Math.max(1, ...caches.map(({ maxEntries }) => maxEntries)),
    maxBytes: Math.max(1, ...caches.map(({ maxBytes }) => maxBytes)),
  };
}

/** The user's own keys of coalescing, compiled once for each object of options. */
function coalesceKeyOf(name: string, policiesOf: (call: Call) => PolicyOptions) {
  const compiled = new WeakMap<CoalesceOptions, ReturnType<typeof compileTemplate>>();
  return (call: Call): string | undefined => {
    const { coalesce } = policiesOf(call);
    if (coalesce === false || coalesce.key === "" || call.tool === undefined) return undefined;
    let key = compiled.get(coalesce);
    if (key === undefined) {
      key = compileTemplate(coalesce.key, {
        scope: ["arguments"],
        where: `coalesce.key of ${name}`,
      });
      compiled.set(coalesce, key);
    }
    return JSON.stringify(key.evaluate({ arguments: argumentsOf(call) }));
  };
}

/** Asks the tool that config names whether a call has happened. */
function verifier(
  { tool: name, arguments: template, happened, delayMs }: NonNullable<ToolOverride["verify"]>,
  gateway: Gateway,
) {
  const where = `verify by ${name}`;
  const args = compileTemplate(template, { scope: ["arguments"], where });
  const test = compileExpression(happened, { scope: ["arguments", "result"], where });
  return async (call: Call): Promise<Verified> => {
    const tool = gateway.findTool(name, true);
    if (tool?.effect !== "read") return "unknown";
    const given = argumentsOf(call);
    try {
      if (delayMs > 0) await pause(call, delayMs);
      const result = await gateway.callTool(
        tool,
        { arguments: args.evaluate({ arguments: given }) },
        { caller: call.caller, signal: call.signal, deadline: { ...call.deadline }, fresh: true },
      );
      if (result["isError"] === true) return "unknown";
      const answer = test.evaluate({ arguments: given, result: valueOf(result) });
      if (typeof answer !== "boolean") return "unknown";
      return answer ? "done" : "failed";
    } catch {
      return "unknown";
    }
  };
}
