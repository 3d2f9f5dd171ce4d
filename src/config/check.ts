import type { JsonText } from "./jsonc.ts";
import { checkKeys } from "./keys.ts";
import { checkOwnNames } from "./own-names.ts";
import { ConfigError, problemLine, showPath } from "./problems.ts";
import type { ConfigProblem, Finding } from "./problems.ts";
import { configFile } from "./schema.ts";
import type { ConfigFile } from "./schema.ts";
import { checkServers } from "./sections.ts";
import { shapeFindings } from "./shape.ts";

interface Checked {
  readonly content: ConfigFile;
  /** One line each, with file, line and column. */
  readonly warnings: readonly string[];
}

/** Checks what can be told from the text alone. Throws ConfigError with everything that is wrong. */
export function checkFile(json: JsonText, file: string): Checked {
  const parsed = configFile.safeParse(json.value);
  const keys = checkKeys(json.value);
  const problems = [
    ...(parsed.error?.issues ?? []).flatMap((issue) =>
      shapeFindings(issue, json.value, configFile),
    ),
    ...keys.problems,
    ...checkServers(json),
    ...checkOwnNames(json.value),
  ];
  if (parsed.data === undefined || problems.length > 0) {
    throw new ConfigError(file, located(problems, json));
  }
  const twice = json.duplicates.map((path) => ({
    path,
    message: "this key stands twice in its object; the last one counts",
  }));
  const warnings = located([...twice, ...keys.warnings], json);
  return {
    content: parsed.data,
    warnings: warnings.map((warning) => problemLine(file, warning)),
  };
}

/** The findings with their places, in the order of the file. */
const located = (findings: readonly Finding[], json: JsonText): ConfigProblem[] =>
  findings
    .map(({ path, message }) => ({ path: showPath(path), message, ...json.placeOf(path) }))
    .toSorted((a, b) => a.line - b.line || a.column - b.column);
