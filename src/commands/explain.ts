import type { Config } from "../config/load.ts";
import { policiesOf } from "../config/server.ts";
import { openFor } from "./open.ts";
import { table, type Output } from "./output.ts";
import { findTool } from "./tools.ts";

/** `holdfast explain TOOL`: what a tool may do, where that comes from, and what follows for its calls. */
export async function explain(
  file: string | undefined,
  name: string,
  output: Output,
): Promise<number> {
  const { tool, config } = await openFor(file, async (opened) => ({
    tool: await findTool(opened, name),
    config: opened.config,
  }));
  const { upstream, remoteName, effect, effectSource } = tool;
  const timeout = timeoutOf(config, upstream, remoteName);
  const facts = { name, server: upstream, tool: remoteName, effect, effectSource, timeout };
  if (output.json) output.line(JSON.stringify(facts));
  else
    for (const row of table([
      ["tool", name],
      ["server", `${upstream}, where it is called ${remoteName}`],
      ["effect", `${effect} (${effectSource})`],
      ["meaning", meanings[effect]],
      [
        "timeout",
        timeout === false
          ? "none"
          : `${timeout.attemptMs} ms an attempt, ${timeout.totalMs} ms in all` +
            (timeout.resetOnProgress ? `; progress extends it up to ${timeout.maxTotalMs} ms` : ""),
      ],
    ]))
      output.line(row);
  return 0;
}

const meanings = {
  read: "it changes nothing: it may be repeated",
  idempotent: "calling it again changes nothing more: it may be repeated",
  write: "each call may change something: it is never repeated once it was sent",
} as const;

function timeoutOf(config: Config, upstream: string, remoteName: string) {
  const server = config.servers.find(({ name }) => name === upstream);
  return server === undefined ? (false as const) : policiesOf(server, remoteName).timeout;
}
