import { isDeepStrictEqual } from "node:util";
import type { JsonObject } from "./call.ts";
import { acceptLists } from "./catalog/accept.ts";
import type { Config } from "./config/load.ts";
import type { ServerConfig } from "./config/server.ts";
import type { Report } from "./events.ts";
import { Gateway, type Entry } from "./gateway.ts";
import { redactor, secretsOf } from "./observe/redact.ts";
import { OwnTools, ownName } from "./own/own-tools.ts";
import { statusTool } from "./own/status-tool.ts";
import { PeerSlot } from "./peer.ts";
import { observe } from "./policies/observe.ts";
import { stack } from "./policies/stack.ts";
import { now, sleep } from "./time.ts";
import { connector } from "./upstream/connector.ts";
import { firstTries } from "./upstream/first-tries.ts";
import { ManifestFile } from "./upstream/manifest.ts";
import type { ServerRecords } from "./upstream/process.ts";
import { RemoteUpstream, type RemoteStatus } from "./upstream/remote.ts";
import { implementation } from "./version.ts";

/** Milliseconds that calls under way get when config takes their server away. */
const drain = 30_000;
const drainTick = 50;

/** What a Holdfast is given from outside. */
export interface Surroundings {
  readonly environment: NodeJS.ProcessEnv;
  /** Where it keeps what it must know at its next start. */
  readonly folders: { readonly manifests: string };
  /** Keeps account of the processes that are started. */
  readonly records?: ServerRecords;
  readonly report: Report;
}

/** A server that runs, as config had it when it was started. */
interface Running {
  readonly server: ServerConfig;
  readonly remote: RemoteUpstream;
  readonly manifest: ManifestFile;
  readonly entry: Entry;
}

/** A whole Holdfast, without a client. */
export class Holdfast {
  readonly gateway: Gateway;
  /** The place of the client, as the servers see it. */
  readonly peer = new PeerSlot();
  readonly #around: Surroundings;
  readonly #begun = now();
  #running: readonly Running[] = [];
  #warnings: readonly string[] = [];
  #listed: () => Promise<void> = () => Promise.resolve();

  /** Builds all that `config` describes, and starts its servers side by side. */
  constructor(config: Config, around: Surroundings) {
    this.#around = around;
    this.gateway = new Gateway(config.names);
    this.apply(config);
  }

  /** Puts another config in place: what it has in common with the last goes on as it is. */
  apply(config: Config): void {
    const servers = config.servers.filter(({ name }) => name !== ownName);
    this.#warnings = [
      ...config.warnings,
      ...(servers.length < config.servers.length
        ? [`the server "${ownName}" is left out: the name is kept for Holdfast's own tools`]
        : []),
    ];
    for (const problem of this.#warnings) this.#around.report({ type: "config.problem", problem });
    const before = new Map(this.#running.map((running) => [running.server.name, running]));
    this.#running = servers.map((server) => this.#run(server, before.get(server.name)));
    this.gateway.use(
      [this.#own(config.builtins), ...this.#running.map(({ entry }) => entry)],
      config.names,
    );
    for (const { remote } of this.#running) remote.start();
    this.#listed = firstTries(this.#running.map(({ remote }) => remote.known));
    const kept = new Set(this.#running.map(({ remote }) => remote));
    for (const { remote } of before.values()) if (!kept.has(remote)) void retire(remote);
  }

  /** Resolves when the lists of every upstream are known, or when those that are left take too long. */
  readonly listed = (): Promise<void> => this.#listed();

  /** Resolves when every upstream was tried once, however long that takes. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.map(({ remote }) => remote.settled));
  }

  /** By server name, in config order. */
  status(): ReadonlyMap<string, RemoteStatus> {
    return new Map(this.#running.map(({ remote }) => [remote.name, remote.status()]));
  }

  async close(): Promise<void> {
    await this.gateway.close();
    await Promise.all(this.#running.map(({ manifest }) => manifest.flush()));
  }

  /** The server as config has it now; what runs already, where only its names or policies changed. */
  #run(server: ServerConfig, before: Running | undefined): Running {
    if (before !== undefined && sameData(before.server, server)) return before;
    const kept = before !== undefined && sameProcess(before.server, server);
    const { remote, manifest } = kept ? before : this.#start(server);
    return { server, remote, manifest, entry: this.#entry(server, remote) };
  }

  #start(server: ServerConfig): Pick<Running, "remote" | "manifest"> {
    const { name, transport, startTimeoutMs, idleStopMs } = server;
    const { report, environment, records, folders } = this.#around;
    const tell = (problem: string): void =>
      report({ type: "upstream.problem", upstream: name, problem });
    const manifest = new ManifestFile(folders.manifests, transport, tell);
    const disabled = server.disabled ? "it is disabled in config" : server.problem;
    const remote = new RemoteUpstream({
      name,
      startTimeoutMs,
      idleStopMs,
      report,
      disabled,
      accept: acceptLists(name, report),
      connect: connector(name, transport, {
        environment,
        records,
        peer: this.peer,
        mask: redactor(secretsOf(transport.kind === "stdio" ? transport.env : {})),
        problem: tell,
        stderr: (line) => report({ type: "upstream.stderr", upstream: name, line }),
      }),
      manifest: disabled === undefined ? manifest.read() : undefined,
      remember: (known) => manifest.write(known),
    });
    return { remote, manifest };
  }

  #entry(server: ServerConfig, remote: RemoteUpstream): Entry {
    return {
      upstream: remote,
      shelf: server,
      stack: stack({
        report: this.#around.report,
        untilReady: (call) => remote.ready(call),
        timeout: ({ tool, method }) => {
          if (method === "tasks/result") return false; // it waits for the end of the task
          return tool === undefined ? server.timeout : server.timeoutOf(tool.remoteName);
        },
      }),
    };
  }

  #own(builtins: readonly string[]): Entry {
    return {
      upstream: new OwnTools([statusTool(() => this.#statusAnswer())]),
      shelf: { prefix: ownName, trust: true, allow: builtins, deny: [], overrides: new Map() },
      stack: [observe(this.#around.report)],
    };
  }

  #statusAnswer(): JsonObject {
    const status = [...this.status()];
    return {
      version: implementation.version,
      uptimeMs: Math.round(now() - this.#begun),
      upstreams: status.map(([name, { info, ...rest }]) => ({
        name,
        ...rest,
        ...(info !== undefined && { server: `${info.name} ${info.version}`.trim() }),
      })),
      problems: [
        ...status.flatMap(([name, { state, problem }]) =>
          state === "ready" || state === "idle"
            ? []
            : [`${name} is ${state}${problem === undefined ? "" : `: ${problem}`}`],
        ),
        ...this.#warnings,
      ],
    };
  }
}

/** Whether nothing at all has changed. */
const sameData = (a: ServerConfig, b: ServerConfig): boolean =>
  isDeepStrictEqual({ ...a, timeoutOf: 0 }, { ...b, timeoutOf: 0 });

/** Whether the one connection serves both. */
const sameProcess = (a: ServerConfig, b: ServerConfig): boolean =>
  isDeepStrictEqual(
    [a.transport, a.startTimeoutMs, a.idleStopMs, a.disabled, a.problem],
    [b.transport, b.startTimeoutMs, b.idleStopMs, b.disabled, b.problem],
  );

/** Closes a server when its calls under way are done, or have had their time. */
async function retire(remote: RemoteUpstream): Promise<void> {
  const until = now() + drain;
  // oxlint-disable-next-line no-await-in-loop -- it waits
  while (remote.inFlight() > 0 && now() < until) await sleep(drainTick);
  await remote.close();
}
