import { homedir } from "node:os";
import { assemble, type Holdfast } from "../assemble.ts";
import { loadConfig, type Config } from "../config/load.ts";
import { broadcast, type Report } from "../events.ts";
import { logger } from "../observe/log.ts";
import { redactor, secretsOf } from "../observe/redact.ts";
import { fileSink, stderrSink, type Sink } from "../observe/sink.ts";

/** A Holdfast with its config and its log. */
export interface Opened extends Holdfast {
  readonly config: Config;
  readonly report: Report;
}

/**
 * Loads config, starts the servers and the log. Rejects with a ConfigError where config cannot be used.
 * `subscriber` is told every event beside the log.
 */
export async function open(file: string | undefined, subscriber?: Report): Promise<Opened> {
  const config = await readConfig(file);
  const sink = sinkOf(config);
  const log = logger({
    level: config.log.level,
    format: config.log.format,
    write: (line) => sink.write(line),
    redact: redactor(config.servers.flatMap(secretValues)),
  });
  const report = broadcast(subscriber === undefined ? [log] : [log, subscriber]);
  const holdfast = assemble(config, process.env, report);
  return {
    ...holdfast,
    config,
    report,
    async close() {
      await holdfast.close();
      await sink.close();
    },
  };
}

/** The config that a command works on. */
export const readConfig = (file: string | undefined): Promise<Config> =>
  loadConfig({
    ...(file !== undefined && { file }),
    env: process.env,
    cwd: process.cwd(),
    home: homedir(),
  });

const secretValues = ({ transport }: Config["servers"][number]): string[] =>
  secretsOf(transport.kind === "stdio" ? transport.env : transport.headers);

const sinkOf = ({ log }: Config): Sink =>
  log.file === undefined
    ? stderrSink
    : fileSink(log.file, (problem) => stderrSink.write(`holdfast: ${problem}`));
