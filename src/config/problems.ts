/** The keys and list positions that lead to a value. */
export type Path = readonly (string | number)[];

/** One thing that is wrong with a configuration file. */
export interface ConfigProblem {
  /** Such as `mcpServers.github.args[1]`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  /** Counted from 1, as editors do. */
  readonly line?: number;
  readonly column?: number;
}

/** Something to say about a place in the file. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
}

/** A configuration file that cannot be used, with everything that is wrong with it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly file: string;
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[]) {
    super(problems.map((problem) => problemLine(file, problem)).join("\n"));
    this.file = file;
    this.problems = problems;
  }
}

/** There is no configuration file in any of the places where it is looked for. */
export class NoConfig extends ConfigError {}

/** `FILE:LINE:COLUMN: PATH: MESSAGE`, less what is not known. */
export function problemLine(file: string, problem: ConfigProblem): string {
  const { path, message, line, column } = problem;
  const place = line === undefined ? file : `${file}:${line}:${column}`;
  return [place, path, message].filter((part) => part !== "").join(": ");
}

/** A path as people write it. */
export function showPath(path: Path): string {
  const parts = path.map((key) => {
    if (typeof key === "number") return `[${key}]`;
    return /^[\w$@/-]+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
  });
  return parts.join("").replace(/^\./, "");
}

/** What may hold a secret: the texts under these keys are never shown. */
const secretive: Path = ["mcpServers", "servers", "command", "args", "env", "url", "headers"];

/** A value for an error message: at most 60 characters, and of what may be a secret only its type. */
export function showValue(value: unknown, path: Path): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  if (path.slice(-2).some((key) => secretive.includes(key))) return `a ${typeof value}`;
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
