import type { JsonObject } from "./call.ts";
import { acceptTools } from "./catalog/accept.ts";
import type { Config } from "./config/load.ts";
import type { ServerConfig } from "./config/server.ts";
import type { Report } from "./events.ts";
import { Gateway, type Entry } from "./gateway.ts";
import { OwnTools, ownName } from "./own/own-tools.ts";
import { statusTool } from "./own/status-tool.ts";
import { observe } from "./policies/observe.ts";
import { stack } from "./policies/stack.ts";
import { now } from "./time.ts";
import { childEnvironment } from "./upstream/environment.ts";
import { firstTries } from "./upstream/first-tries.ts";
import { RemoteUpstream, type RemoteStatus } from "./upstream/remote.ts";
import { connectStdio } from "./upstream/stdio.ts";
import { implementation } from "./version.ts";

/** A whole Holdfast, without a client. */
export interface Holdfast {
  readonly gateway: Gateway;
  /** Resolves when every upstream was tried once, or when those that are left take too long to wait for. */
  readonly listed: () => Promise<void>;
  /** Resolves when every upstream was tried once, however long that takes. */
  readonly settled: Promise<void>;
  /** By server name, in config order. */
  readonly status: () => ReadonlyMap<string, RemoteStatus>;
  readonly close: () => Promise<void>;
}

/** Builds all that `config` describes, and starts its servers side by side. */
export function assemble(config: Config, environment: NodeJS.ProcessEnv, report: Report): Holdfast {
  const begun = now();
  const warnings = [...config.warnings];
  const servers = config.servers.filter(({ name }) => name !== ownName);
  if (servers.length < config.servers.length)
    warnings.push(`the server "${ownName}" is left out: the name is kept for Holdfast's own tools`);
  for (const problem of warnings) report({ type: "config.problem", problem });
  const remotes = servers.map((server) => remoteOf(server, environment, report));
  const status = (): Map<string, RemoteStatus> =>
    new Map(remotes.map((remote) => [remote.name, remote.status()]));
  const own = new OwnTools([statusTool(() => statusAnswer(status(), warnings, begun))]);
  const gateway = new Gateway(
    [
      ownEntry(own, config, report),
      ...servers.map((server, index) => entryOf(server, remotes[index] as RemoteUpstream, report)),
    ],
    config.names,
  );
  for (const remote of remotes) remote.start();
  const { settled, listed } = firstTries(remotes);
  return { gateway, settled, listed, status, close: () => gateway.close() };
}

function remoteOf(
  server: ServerConfig,
  environment: NodeJS.ProcessEnv,
  report: Report,
): RemoteUpstream {
  const { name, transport, startTimeoutMs } = server;
  const disabled = server.disabled ? "it is disabled in config" : server.problem;
  return new RemoteUpstream({
    name,
    startTimeoutMs,
    report,
    accept: acceptTools(name, report),
    connect: (timeoutMs, abandon) => {
      if (transport.kind !== "stdio")
        return Promise.reject(new Error("remote servers are not served yet"));
      const program = { ...transport, env: childEnvironment(transport.env, environment) };
      const events = {
        problem: (problem: string) => report({ type: "upstream.problem", upstream: name, problem }),
        stderr: (line: string) => report({ type: "upstream.stderr", upstream: name, line }),
      };
      return connectStdio(name, program, events, timeoutMs, abandon);
    },
    ...(disabled !== undefined && { disabled }),
  });
}

const entryOf = (server: ServerConfig, upstream: RemoteUpstream, report: Report): Entry => ({
  upstream,
  shelf: server,
  stack: stack({
    report,
    untilReady: (call) => upstream.ready(call),
    timeout: ({ tool }) =>
      tool === undefined ? server.timeout : server.timeoutOf(tool.remoteName),
  }),
});

const ownEntry = (own: OwnTools, { builtins }: Config, report: Report): Entry => ({
  upstream: own,
  shelf: { prefix: ownName, trust: true, allow: builtins, deny: [], overrides: new Map() },
  stack: [observe(report)],
});

const statusAnswer = (
  status: ReadonlyMap<string, RemoteStatus>,
  warnings: readonly string[],
  begun: number,
): JsonObject => ({
  version: implementation.version,
  uptimeMs: Math.round(now() - begun),
  upstreams: [...status].map(([name, { info, ...rest }]) => ({
    name,
    ...rest,
    ...(info !== undefined && { server: `${info.name} ${info.version}`.trim() }),
  })),
  problems: [
    ...[...status].flatMap(([name, { state, problem }]) =>
      state === "ready"
        ? []
        : [`${name} is ${state}${problem === undefined ? "" : `: ${problem}`}`],
    ),
    ...warnings,
  ],
});
