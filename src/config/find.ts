import { isAbsolute, join, resolve, win32 } from "node:path";
import { fromHome } from "./expand.ts";
import { isMissing, readText, whyUnreadable } from "./files.ts";
import { ConfigError, NoConfig } from "./problems.ts";

/** Where a configuration file is looked for. */
export interface Lookup {
  /** The file that was asked for. */
  readonly file?: string;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** The user's home folder. */
  readonly home: string;
  readonly platform?: NodeJS.Platform;
}

/** A configuration file. */
interface Found {
  readonly file: string;
  readonly text: string;
}

/** The file that was asked for, else the first one of those that are looked for. */
export async function findFile({ file, env, cwd, home, platform }: Lookup): Promise<Found> {
  const asked = file ?? env["HOLDFAST_CONFIG"];
  const candidates = asked
    ? [resolve(cwd, fromHome(asked, home))]
    : [join(cwd, "servers.json"), userFile(env, home, platform ?? process.platform)];
  for (const candidate of candidates) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- the first that is there is the one
      return { file: candidate, text: await readText(candidate) };
    } catch (error) {
      if (!asked && isMissing(error)) continue;
      throw new ConfigError(candidate, [{ path: "", message: whyUnreadable(error) }]);
    }
  }
  const message = `there is no such file; looked for ${candidates.join(" and ")}`;
  throw new NoConfig("servers.json", [{ path: "", message }]);
}

/** The file in the user's configuration folder. */
function userFile(env: NodeJS.ProcessEnv, home: string, platform: NodeJS.Platform): string {
  if (platform === "win32") {
    const roaming = env["APPDATA"] || win32.join(home, "AppData", "Roaming");
    return win32.join(roaming, "holdfast", "servers.json");
  }
  if (platform === "darwin") {
    return join(home, "Library", "Application Support", "holdfast", "servers.json");
  }
  // By the XDG specification a relative path is to be ignored.
  const xdg = env["XDG_CONFIG_HOME"] ?? "";
  return join(isAbsolute(xdg) ? xdg : join(home, ".config"), "holdfast", "servers.json");
}
