import { spawnSync } from "node:child_process";
import { main, root } from "./gateway.ts";

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a command of Holdfast to its end. */
export function holdfast(
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    encoding: "utf8",
    input: "",
  });
  return { code: status, out: stdout, err: stderr };
}
