/*
 * What is done before most of Holdfast is loaded, so that a start is fast.
 */
import { mkdirSync } from "node:fs";
import * as modules from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { findFile } from "../config/find.ts";
import { plainPrograms } from "../config/programs.ts";
import { stateFolder } from "../state-folder.ts";
import { endEarly, startEarly } from "../upstream/early.ts";
import { programOf } from "../upstream/environment.ts";
import { exitCodes } from "./signals.ts";

/**
 * Starts the programs that the config file names, as they will be wanted when it has been read in full. Says
 * nothing of what is wrong, which is told then. A signal that comes before anybody else listens to it ends them.
 */
export async function startServersEarly(asked: string | undefined): Promise<void> {
  const { env } = process;
  const home = homedir();
  for (const [signal, code] of Object.entries(exitCodes))
    process.on(signal, () => {
      if (process.listenerCount(signal) === 1) void endEarly().then(() => process.exit(code));
    });
  try {
    const lookup = { ...(asked !== undefined && { file: asked }), env, cwd: process.cwd(), home };
    const { file, text } = await findFile(lookup);
    for (const [name, program] of plainPrograms(text, { file, env, home }))
      startEarly(name, programOf(program, env));
  } catch {
    // Whoever reads it in full tells.
  }
}

/** Keeps what the engine made of the code for the next start, where Node can: from 22.1 on. */
export function keepCompiled(): void {
  const { enableCompileCache } = modules as { enableCompileCache?: (folder: string) => unknown };
  if (enableCompileCache === undefined) return;
  const folder = join(stateFolder(process.env, homedir()), "compiled");
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch {
    return; // Whoever needs the state folder tells.
  }
  enableCompileCache(folder);
}
