import type { Program } from "./process.ts";

/** What a child process gets besides its own `env`: where things are and who runs them, nothing that is secret. */
const inherited =
  process.platform === "win32"
    ? [
        "APPDATA",
        "COMSPEC",
        "HOMEDRIVE",
        "HOMEPATH",
        "LOCALAPPDATA",
        "PATH",
        "PATHEXT",
        "PROCESSOR_ARCHITECTURE",
        "PROGRAMDATA",
        "PROGRAMFILES",
        "SYSTEMDRIVE",
        "SYSTEMROOT",
        "TEMP",
        "TMP",
        "USERNAME",
        "USERPROFILE",
        "WINDIR",
      ]
    : [
        "HOME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "LOGNAME",
        "PATH",
        "SHELL",
        "TERM",
        "TMPDIR",
        "TZ",
        "USER",
      ];

/** The environment of a child: the safe part of `base`, then `own` over it. */
export function childEnvironment(
  own: Readonly<Record<string, string>>,
  base: NodeJS.ProcessEnv,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const name of inherited) {
    const value = base[name];
    // A value that starts so is a shell function of old shells, which run it.
    if (value !== undefined && !value.startsWith("()")) environment[name] = value;
  }
  return { ...environment, ...own };
}

/** The program of a server as it is run by one who has the environment `base`. */
export const programOf = (
  { command, args, env, cwd }: Program,
  base: NodeJS.ProcessEnv,
): Program => ({
  command,
  args,
  env: childEnvironment(env, base),
  cwd,
});
