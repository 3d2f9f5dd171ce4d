import { stat } from "node:fs/promises";
import { listWorkflows } from "../config/workflow-files.ts";
import { messageOf } from "../errors.ts";
import { every } from "../time.ts";
import { readConfig, type Opened } from "./open.ts";

/** Milliseconds between two looks. Looks see what every editor does, also replaced files and links. */
const interval = 500;

/**
 * Puts config in place whenever its file, or its folder of chains and sagas, has changed; what is broken is told
 * and changes nothing. Answers how to stop.
 */
export function reloadOnChange({ config, report, apply }: Opened): () => void {
  const { file } = config;
  let { workflowFolder } = config;
  let seen = traces(file, workflowFolder);
  const take = async (): Promise<void> => {
    const next = await readConfig(file);
    await apply(next);
    if (next.workflowFolder !== workflowFolder) seen = traces(file, next.workflowFolder);
    ({ workflowFolder } = next);
    report({ type: "config.reloaded", file });
  };
  const refuse = (error: unknown): void =>
    report({
      type: "config.problem",
      problem: `the changed config is not used, the one before stays: ${messageOf(error)}`,
    });
  const look = async (): Promise<void> => {
    const found = traces(file, workflowFolder);
    if ((await found) === (await seen)) return;
    seen = found;
    await take().catch(refuse);
  };
  let looking: Promise<void> | undefined;
  const timer = every(interval, () => {
    looking ??= look().finally(() => (looking = undefined));
  });
  return () => timer.clear();
}

/** A text that is another one once a file of these was changed, added or removed. */
async function traces(file: string, folder: string): Promise<string> {
  const files = [file, ...(await listWorkflows(folder).catch(() => []))];
  return JSON.stringify(await Promise.all(files.map(async (path) => [path, await trace(path)])));
}

const trace = (path: string): Promise<string> =>
  stat(path, { bigint: true }).then(
    ({ ino, size, mtimeNs, ctimeNs }) => [ino, size, mtimeNs, ctimeNs].join(" "),
    () => "",
  );
