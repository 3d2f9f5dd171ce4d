import { isDeepStrictEqual } from "node:util";
import {
  serverEntry,
  stackConfig,
  startServer,
  warm,
  type ServerEntry,
  type Services,
  type Started,
} from "./assemble-server.ts";
import { ownEntry } from "./assemble-own.ts";
import { BudgetLedger } from "./budget-ledger.ts";
import { Events } from "./bus/events.ts";
import type { Caller, JsonObject, Middleware } from "./call.ts";
import { Cancel } from "./cancel.ts";
import { matchesAny } from "./catalog/glob.ts";
import type { Config } from "./config/load.ts";
import type { ServerConfig } from "./config/server.ts";
import { broadcast, type GatewayEvent, type Report } from "./events.ts";
import { Gateway } from "./gateway.ts";
import { Metrics } from "./observe/metrics.ts";
import { ownName } from "./own/own-tools.ts";
import { Peers, PeerSlot } from "./peer.ts";
import { KeptResults } from "./results/kept-results.ts";
import { brokenReferences } from "./references.ts";
import { doorOf, runsOf, workflowsOf, type WorkflowSurroundings } from "./assemble-workflows.ts";
import type { Runs } from "./workflows/runs.ts";
import type { Workflows } from "./workflows/workflows.ts";
import type { Invalidation } from "./stores/store.ts";
import { now, sleep } from "./time.ts";
import { firstTries } from "./upstream/first-tries.ts";
import type { ServerRecords } from "./upstream/process.ts";
import type { RemoteStatus } from "./upstream/remote.ts";
import { implementation } from "./version.ts";

/** Milliseconds that calls under way get when config takes their server away. */
const drain = 30_000;
const drainTick = 50;
/** Milliseconds for which a server that answered a ping is taken for healthy, and for the ping itself. */
const healthyFor = 300_000;
const pingTimeout = 1000;

/** What a Holdfast is given from outside. */
export interface Surroundings {
  readonly environment: NodeJS.ProcessEnv;
  /** Where it keeps what it must know at its next start, and large results. */
  readonly folders: {
    readonly manifests: string;
    readonly auth: string;
    readonly budgets: string;
    readonly results: string;
    /** Of the runs of sagas, unless config keeps them elsewhere. */
    readonly runs: string;
  };
  /** Keeps account of the processes that are started. */
  readonly records?: ServerRecords;
  /** Ends the servers that dead gateways have left behind. */
  readonly orphansEnded: () => Promise<void>;
  readonly report: Report;
  /** Takes secrets out of a text. */
  readonly redact: (text: string) => string;
  /** Told a secret that only came up while it runs. */
  readonly secret: (value: string) => void;
  /** Whether it only looks: events start nothing and are written nowhere. */
  readonly passive: boolean;
}

/** A server that runs, as config had it when it was started. */
interface Running extends Started {
  readonly server: ServerConfig;
  readonly entry: ServerEntry;
  readonly middlewares: readonly Middleware[];
}

/** A whole Holdfast, without a client. */
export class Holdfast {
  readonly gateway: Gateway;
  /** The place of the client, as servers see it where they are told what it can do. */
  readonly peer = new PeerSlot();
  /** The clients that can be asked, by the callers of calls. */
  readonly peers = new Peers();
  readonly runs: Runs;
  readonly #report: Report;
  readonly #metrics = new Metrics();
  readonly #ledger: BudgetLedger;
  readonly #results: KeptResults;
  readonly #events: Events;
  readonly #services: Omit<Services, "middlewares">;
  readonly #begun = now();
  readonly #heardOf = new Map<string, number>();
  #running: readonly Running[] = [];
  #warnings: readonly string[] = [];
  readonly #around: WorkflowSurroundings;
  #config: Config;
  #workflows: Workflows;
  #listed: () => Promise<void> = () => Promise.resolve();

  /** Builds all that `config` describes, and starts its servers side by side. */
  constructor(config: Config, middlewares: readonly Middleware[], around: Surroundings) {
    const { folders, environment, records, orphansEnded } = around;
    const { redact, secret, passive } = around;
    this.gateway = new Gateway(config.names);
    this.#events = new Events({
      door: this.gateway,
      report: (event) => this.#report(event),
      mayRun: (tool) => this.#workflows.forbids(tool),
      redact,
      passive,
    });
    this.#report = broadcast([
      this.#metrics.take,
      around.report,
      (event) => this.#take(event),
      this.#events.take,
    ]);
    const tell = (problem: string): void => this.#report({ type: "gateway.problem", problem });
    this.#ledger = new BudgetLedger(folders.budgets, tell);
    this.#results = new KeptResults({ folder: folders.results });
    this.#services = {
      gateway: this.gateway,
      asked: this,
      environment,
      folders,
      records,
      report: this.#report,
      secret,
      ledger: this.#ledger,
      keep: (text, caller, pageBytes) => this.#results.keep(text, caller, pageBytes),
      spent: (call, usd) => this.#metrics.spent(call, usd),
      invalidate: (what) => void this.#invalidate(what),
    };
    this.gateway.watch({
      changed: () => {},
      notified: (upstream, method, params) => {
        const { uri } = params;
        if (method === "notifications/resources/updated" && typeof uri === "string")
          void this.#invalidate({ upstream, uri });
        // A task may have changed something by now.
        if (method === "notifications/tasks/status") void this.#invalidate({ upstream });
      },
    });
    void this.#results.sweep().catch(() => {});
    this.#config = config;
    this.#around = {
      gateway: this.gateway,
      peers: this.peers,
      report: this.#report,
      folder: folders.runs,
      config: () => this.#config,
      listed: this.listed,
      orphansEnded,
    };
    this.runs = runsOf(this.#around);
    this.#workflows = workflowsOf(config, this.runs, this.#around);
    this.apply(config, middlewares);
  }

  /** Takes up the runs that dead processes have left behind. */
  recover(): Promise<void> {
    return this.runs.recover();
  }

  /** Puts another config in place: what it has in common with the last goes on as it is. */
  apply(config: Config, middlewares: readonly Middleware[]): void {
    const servers = config.servers.filter(({ name }) => name !== ownName);
    this.#warnings = [
      ...config.warnings,
      ...(servers.length < config.servers.length
        ? [`the server "${ownName}" is left out: the name is kept for Holdfast's own tools`]
        : []),
    ];
    const before = new Map(this.#running.map((running) => [running.server.name, running]));
    const running = servers.map((server) =>
      this.#run(server, middlewares, before.get(server.name)),
    );
    const workflows = workflowsOf(config, this.runs, this.#around);
    const own = ownEntry(config, {
      gateway: this.gateway,
      report: this.#report,
      metrics: this.#metrics,
      results: this.#results,
      events: this.#events,
      status: (caller) => this.#statusAnswer(caller),
      invalidate: (what) => this.#invalidate(what),
      isHealthy: (upstream) => this.#isHealthy(upstream),
      runs: this.runs,
      workflows: () => this.#workflows,
      door: doorOf(this.#around),
    });
    const previous = { config: this.#config, workflows: this.#workflows };
    this.#config = config;
    this.#workflows = workflows;
    try {
      this.gateway.use(
        [own, ...running.map(({ entry }) => entry)],
        config.names,
        [...config.groups.values()].map(({ providers }) => providers.map(({ tool }) => tool)),
      );
    } catch (error) {
      // A user's middleware that cannot be put in place changes nothing.
      this.#config = previous.config;
      this.#workflows = previous.workflows;
      throw error;
    }
    this.#running = running;
    this.#events.apply(config.events);
    for (const problem of this.#warnings) this.#report({ type: "config.problem", problem });
    for (const { remote } of this.#running) remote.start();
    const known = this.#running.map(({ remote }) => remote.known);
    this.#listed = firstTries(known, this.peer.capabilities);
    const kept = new Set(this.#running.map(({ remote }) => remote));
    for (const { remote, shared } of before.values()) if (!kept.has(remote)) void retire(shared);
    const names = new Set(servers.map(({ name }) => name));
    for (const name of before.keys()) if (!names.has(name)) this.#metrics.forget(name);
  }

  /** Resolves when the lists of every upstream are known, or when those that are left take too long. */
  readonly listed = (): Promise<void> => this.#listed();

  /** Resolves when every upstream was tried once, however long that takes. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.map(({ remote }) => remote.settled));
  }

  /** What config says of tools that are not there; to be asked when the servers are. */
  async references(): Promise<string[]> {
    const servers = this.#running.map(({ server }) => server);
    return [
      ...brokenReferences(servers, this.#config.groups, this.gateway.basis),
      ...(await this.#workflows.broken()),
      ...this.#events.references(this.gateway.catalog),
    ];
  }

  /** By server name, in config order. */
  status(): ReadonlyMap<string, RemoteStatus> {
    return new Map(this.#running.map(({ remote }) => [remote.name, remote.status()]));
  }

  async close(): Promise<void> {
    await this.#events.drain();
    await this.runs.leave();
    await this.gateway.close();
    // Others take them over from here on: what our servers were doing has ended by now.
    await this.runs.close();
    await Promise.all([
      this.#events.close(),
      this.#ledger.close(),
      ...this.#running.map(({ manifest }) => manifest.flush()),
    ]);
  }

  /** The server as config has it now; what runs already, where only its names or policies changed. */
  #run(server: ServerConfig, middlewares: readonly Middleware[], before?: Running): Running {
    const sameMiddlewares = isDeepStrictEqual(before?.middlewares, middlewares);
    if (before !== undefined && sameMiddlewares && isDeepStrictEqual(before.server, server))
      return before;
    const services = { ...this.#services, middlewares };
    const kept = before !== undefined && sameProcess(before.server, server);
    const started = kept ? before : startServer(server, services, before);
    const { remote, shared, manifest, epoch } = started;
    const keepsStack = kept && sameMiddlewares && sameStack(before.server, server);
    // A new stack has new circuits, of which one may be open from the start.
    if (!keepsStack) this.#metrics.forgetCircuits(server.name);
    const entry = keepsStack
      ? { ...before.entry, shelf: server }
      : serverEntry(server, started, services);
    return { server, remote, shared, manifest, epoch, entry, middlewares };
  }

  /** Keeps what has to be done when something happens to a server. */
  #take(event: GatewayEvent): void {
    if (event.type !== "upstream.state" || event.to !== "ready") return;
    const running = this.#running.find(({ remote }) => remote.name === event.upstream);
    if (running === undefined) return;
    // The lists are known a moment later.
    queueMicrotask(() =>
      warm(running.server, this.gateway, (tool, args) => {
        const caller = { principal: "local", session: "warming", client: implementation.name };
        this.gateway
          .callTool(tool, { arguments: args }, { caller, signal: new Cancel() })
          .catch(() => {});
      }),
    );
  }

  async #invalidate(what: Invalidation): Promise<number> {
    const counts = await Promise.all(
      this.#running
        .filter(({ server }) => this.#concerns(what, server.name))
        .map(async ({ entry: { store } }) => store.invalidate(what)),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Whether anything of a server may be meant; what is not does not disturb reads that are under way. */
  #concerns(what: Invalidation, name: string): boolean {
    if (what === "all" || "key" in what) return true;
    if ("upstream" in what) return what.upstream === name;
    for (const tool of this.gateway.basis.tools.values())
      if (tool.upstream === name && matchesAny(what.tools, tool.name)) return true;
    return false;
  }

  async #isHealthy(upstream: string): Promise<boolean> {
    const remote = this.#running.find(({ server }) => server.name === upstream)?.remote;
    if (remote?.isAvailable !== true) return false;
    if (remote.status().state === "idle") return true; // a call starts it
    if (now() - (this.#heardOf.get(upstream) ?? -Infinity) < healthyFor) return true;
    const answers = await remote.ping(pingTimeout);
    if (answers) this.#heardOf.set(upstream, now());
    return answers;
  }

  async #statusAnswer({ principal }: Caller): Promise<JsonObject> {
    const { memory, upstreams: figures } = this.#metrics.snapshot();
    const ofName = new Map(figures.map(({ name, ...rest }) => [name, rest]));
    const upstreams = await Promise.all(
      this.#running.map(async ({ remote, entry }) => {
        const { info, ...rest } = remote.status();
        const { circuits, active, waiting } = entry.parts.status();
        return {
          name: remote.name,
          ...rest,
          ...(info !== undefined && { server: `${info.name} ${info.version}`.trim() }),
          circuits,
          active,
          waiting,
          ...(entry.parts.cache !== undefined && {
            cache: { ...entry.parts.cache.stats(), ...(await entry.store.stats()) },
          }),
          ...(ofName.has(remote.name) && { figures: ofName.get(remote.name) }),
        };
      }),
    );
    return {
      version: implementation.version,
      uptimeMs: Math.round(now() - this.#begun),
      memory,
      upstreams,
      ...(ofName.has(ownName) && { own: ofName.get(ownName) }),
      budgets: this.#ledger.spending().filter((spent) => spent.principal === principal),
      events: this.#events.status(),
      problems: [
        ...upstreams.flatMap(({ name, state, problem }) =>
          state === "ready" || state === "idle"
            ? []
            : [`${name} is ${state}${problem === undefined ? "" : `: ${problem}`}`],
        ),
        ...this.#warnings,
        ...(await this.references()),
      ],
      alerts: this.#metrics.alerts(),
    };
  }
}

/** Whether the one stack, with all that it has learnt, serves both. */
const sameStack = (a: ServerConfig, b: ServerConfig): boolean =>
  isDeepStrictEqual(stackConfig(a), stackConfig(b));

/** Whether the one connection serves both. */
const sameProcess = (a: ServerConfig, b: ServerConfig): boolean =>
  isDeepStrictEqual(
    [a.transport, a.startTimeoutMs, a.idleStopMs, a.disabled, a.problem],
    [b.transport, b.startTimeoutMs, b.idleStopMs, b.disabled, b.problem],
  );

/** Closes a server when its calls under way are done, or have had their time. */
async function retire(shared: Started["shared"]): Promise<void> {
  const until = now() + drain;
  // oxlint-disable-next-line no-await-in-loop -- it waits
  while (shared.inFlight() > 0 && now() < until) await sleep(drainTick);
  await shared.close();
}
