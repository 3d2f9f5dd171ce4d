import { homedir } from "node:os";
import { findFile } from "../config/find.ts";
import { plainPrograms } from "../config/programs.ts";
import { startEarly } from "../upstream/early.ts";
import { programOf } from "../upstream/environment.ts";

/**
 * Starts the programs that the config file names, as they will be wanted when it has been read in full. Says
 * nothing of what is wrong, which is told then.
 */
export async function startServersEarly(asked: string | undefined): Promise<void> {
  const { env } = process;
  const home = homedir();
  try {
    const lookup = { ...(asked !== undefined && { file: asked }), env, cwd: process.cwd(), home };
    const { file, text } = await findFile(lookup);
    for (const [name, program] of plainPrograms(text, { file, env, home }))
      startEarly(name, programOf(program, env));
  } catch {
    // Whoever reads it in full tells.
  }
}
