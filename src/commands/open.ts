import { homedir } from "node:os";
import { join } from "node:path";
import { Holdfast } from "../assemble.ts";
import { runStoreOf } from "../assemble-workflows.ts";
import type { Cancel } from "../cancel.ts";
import { loadConfig, type Config } from "../config/load.ts";
import { broadcast, type Report } from "../events.ts";
import { logger } from "../observe/log.ts";
import { redactor, secretsOf } from "../observe/redact.ts";
import { fileSink, stderrSink, type Sink } from "../observe/sink.ts";
import { stateFolder } from "../state-folder.ts";
import { endEarly } from "../upstream/early.ts";
import { PidRecords, reap, reapDead } from "../upstream/pid-records.ts";
import { untilSignal } from "./signals.ts";
import { loadMiddlewares } from "../user-middleware.ts";
import type { RunStore } from "../workflows/run-store.ts";

/** A Holdfast with its config and its log. */
export interface Opened {
  readonly holdfast: Holdfast;
  /** As it was at the start. */
  readonly config: Config;
  readonly report: Report;
  /** Puts another config in place. Its `log` counts from the next start on. */
  readonly apply: (config: Config) => Promise<void>;
  readonly close: () => Promise<void>;
}

interface OpenOptions {
  /** Told every event beside the log. */
  readonly subscriber?: Report;
  /** Whether it only looks: events start nothing and are written nowhere. Default false. */
  readonly passive?: boolean;
}

/**
 * Loads config, starts the servers and the log, and ends what a killed gateway has left behind. Rejects with a
 * ConfigError where config cannot be used.
 */
export async function open(
  file: string | undefined,
  { subscriber, passive = false }: OpenOptions = {},
): Promise<Opened> {
  const config = await readConfig(file);
  const sink = sinkOf(config);
  let current = config;
  let redact = redactorOf(config);
  const learnt: string[] = [];
  const log = logger({
    level: config.log.level,
    format: config.log.format,
    write: (line) => sink.write(line),
    redact: (line) => redact(line),
  });
  const report = broadcast(subscriber === undefined ? [log] : [log, subscriber]);
  const tell = (problem: string): void => report({ type: "gateway.problem", problem });
  const state = stateFolder(process.env, homedir());
  const pids = join(state, "pids");
  const records = new PidRecords(pids, tell);
  const holdfast = new Holdfast(config, await loadMiddlewares(config.middleware), {
    environment: process.env,
    folders: {
      manifests: join(state, "manifests"),
      auth: join(state, "auth"),
      budgets: join(state, "budgets"),
      results: join(state, "results"),
      runs: state,
    },
    records,
    orphansEnded: async () => {
      await reaped;
      tellReaped(await reapDead(pids));
    },
    report,
    redact: (text) => redact(text),
    secret: (value) => {
      if (learnt.includes(value)) return;
      learnt.unshift(value);
      learnt.splice(mostLearnt);
      redact = redactorOf(current, learnt);
    },
    passive,
  });
  void endEarly();
  const tellReaped = (count: number): void => {
    if (count > 0) tell(`ended ${count} processes that a killed gateway had left behind`);
  };
  const reaped = reap(pids).then(tellReaped);
  return {
    holdfast,
    config,
    report,
    apply: async (next) => {
      const middlewares = await loadMiddlewares(next.middleware);
      current = next;
      redact = redactorOf(next, learnt);
      holdfast.apply(next, middlewares);
    },
    close: async () => {
      await holdfast.close();
      await reaped;
      await records.close();
      await sink.close();
    },
  };
}

/**
 * The same for the work of a command that no client talks to: servers are told that theirs can do nothing. All
 * is closed when the work is done, or a signal comes.
 */
export async function openFor<T>(
  file: string | undefined,
  work: (opened: Opened, stop: Cancel) => Promise<T>,
  options: OpenOptions = {},
): Promise<T> {
  const opened = await open(file, options);
  opened.holdfast.peer.introduce({});
  return untilSignal((stop) => work(opened, stop), opened.close);
}

/** The runs that the state folder or a database has; undefined where there is none yet. Starts no server. */
export function openRuns(config: Config): RunStore | undefined {
  const { store, exists } = runStoreOf(config, stateFolder(process.env, homedir()), () => {});
  return exists() ? store : undefined;
}

/** The config that a command works on. */
export const readConfig = (file: string | undefined): Promise<Config> =>
  loadConfig({
    ...(file !== undefined && { file }),
    env: process.env,
    cwd: process.cwd(),
    home: homedir(),
  });

/** So many tokens are hidden, the latest first. */
const mostLearnt = 100;

const redactorOf = (
  { servers, http }: Config,
  learnt: readonly string[] = [],
): ((text: string) => string) =>
  redactor([
    ...learnt,
    ...servers.flatMap(({ transport }) =>
      transport.kind === "stdio"
        ? secretsOf(transport.env)
        : [
            ...secretsOf(transport.headers),
            ...secretsOf({ secret: (transport.oauth || {}).clientSecret ?? "" }),
          ],
    ),
    ...http.secrets,
  ]);

const sinkOf = ({ log }: Config): Sink =>
  log.file === undefined
    ? stderrSink()
    : fileSink(log.file, (problem) => stderrSink().write(`holdfast: ${problem}`));
