import { basename, dirname, resolve, sep } from "node:path";

/** What the variables of a configuration file stand for. */
export interface Variables {
  readonly env: NodeJS.ProcessEnv;
  /** The user's home folder. */
  readonly home: string;
  /** The folder that the configuration file is for, see `workspaceOf`. */
  readonly workspace: string;
  /** Values of the inputs by id; an environment variable HOLDFAST_INPUT_ID wins over them. */
  readonly inputs: ReadonlyMap<string, string>;
}

interface Expanded {
  /** Variables without a value stand in it as they were written. */
  readonly text: string;
  /** What has no value, each in a sentence. */
  readonly problems: readonly string[];
}

/**
 * Expands the variables of `text`, once: what a variable holds is not expanded again.
 *
 * - `${NAME}`, `${env:NAME}` environment variables
 * - `${input:ID}` inputs
 * - `${userHome}`, `${workspaceFolder}`, `${workspaceFolderBasename}`, `${pathSeparator}`, `${/}`
 * - `${…:-default}` the default where the value is missing or empty; it ends at the first `}`
 * - `$${…}` the text `${…}`
 */
export function expand(text: string, variables: Variables): Expanded {
  const problems: string[] = [];
  const expanded = text.replace(
    /\$(\$?)\{([^}]*)\}/g,
    (written: string, escape: string, inner: string) => {
      if (escape !== "") return `\${${inner}}`;
      const [name = "", ...rest] = inner.split(":-");
      const { value, problem } = lookUp(name, variables);
      if (rest.length > 0) return value || rest.join(":-");
      if (value === undefined) problems.push(problem);
      return value ?? written;
    },
  );
  return { text: expanded, problems };
}

interface Found {
  readonly value: string | undefined;
  /** What to say where there is no value. */
  readonly problem: string;
}

function lookUp(name: string, variables: Variables): Found {
  const [, kind, id = ""] = /^(env|input):(.*)$/s.exec(name) ?? [];
  if (kind === "env") return environment(id, variables);
  if (kind === "input") return input(id, variables);
  const value = predefined(name, variables);
  if (value === undefined && /^[A-Za-z_]\w*$/.test(name)) return environment(name, variables);
  // What follows a colon may be a secret.
  const shown = `\${${name.replace(/:.*/s, ":…")}}`;
  return { value, problem: `${shown} is no variable; to mean the text itself write $${shown}` };
}

const environment = (name: string, { env }: Variables): Found => ({
  value: env[name],
  problem: `the environment variable ${name} is not set`,
});

function input(id: string, { env, inputs }: Variables): Found {
  const variable = `HOLDFAST_INPUT_${id.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`;
  const problem = `the input ${id} has no value; set ${variable} or put it into inputs.json`;
  return { value: env[variable] ?? inputs.get(id), problem };
}

function predefined(name: string, { home, workspace }: Variables): string | undefined {
  switch (name) {
    case "userHome":
      return home;
    case "workspaceFolder":
      return workspace;
    case "workspaceFolderBasename":
      return basename(workspace);
    case "pathSeparator":
    case "/":
      return sep;
    default:
      return undefined;
  }
}

/** The folder that a configuration file is for: its own, or the one around `.vscode` or `.cursor`. */
export function workspaceOf(file: string): string {
  const folder = dirname(file);
  return [".vscode", ".cursor"].includes(basename(folder)) ? dirname(folder) : folder;
}

/** `path` with a leading `~` replaced by the home folder. */
export const fromHome = (path: string, home: string): string =>
  path.replace(/^~(?=[\\/]|$)/, () => home);

/** `path` from the root; a relative one starts at the workspace. */
export const absolute = (
  path: string,
  { workspace, home }: Pick<Variables, "workspace" | "home">,
): string => resolve(workspace, fromHome(path, home));
