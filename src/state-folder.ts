import { isAbsolute, join, win32 } from "node:path";

/**
 * Where Holdfast keeps what it must know at its next start: `$HOLDFAST_STATE_DIR`, else the platform's folder
 * for state (https://specifications.freedesktop.org/basedir-spec/latest/ on Linux).
 */
export function stateFolder(
  env: NodeJS.ProcessEnv,
  home: string,
  platform: NodeJS.Platform = process.platform,
): string {
  const given = env["HOLDFAST_STATE_DIR"];
  if (given !== undefined && given !== "") return given;
  if (platform === "win32")
    return win32.join(
      env["LOCALAPPDATA"] ?? win32.join(home, "AppData", "Local"),
      "holdfast",
      "state",
    );
  if (platform === "darwin")
    return join(home, "Library", "Application Support", "holdfast", "state");
  const xdg = env["XDG_STATE_HOME"] ?? "";
  return join(isAbsolute(xdg) ? xdg : join(home, ".local", "state"), "holdfast");
}
