import { unwatchFile, watchFile } from "node:fs";
import type { Config } from "../config/load.ts";
import { messageOf } from "../errors.ts";
import { readConfig, type Opened } from "./open.ts";

/** Milliseconds between two looks. Looks see what every editor does, also replaced files and links. */
const interval = 500;

/** Puts config in place whenever its file changes; a broken one is told and changes nothing. Answers how to stop. */
export function reloadOnChange({ config, report, apply }: Opened): () => void {
  const { file } = config;
  const take = async (next: Config): Promise<void> => {
    await apply(next);
    report({ type: "config.reloaded", file });
  };
  const refuse = (error: unknown): void =>
    report({
      type: "config.problem",
      problem: `the changed config is not used, the one before stays: ${messageOf(error)}`,
    });
  watchFile(file, { interval, persistent: false }, () => {
    readConfig(file).then(take).catch(refuse);
  });
  return () => unwatchFile(file);
}
