/*
 * YAML, whose parser takes long to load: a module to be imported with `import()`, when it is first needed.
 */
import { isNode, LineCounter, parseDocument } from "yaml";
import { messageOf } from "../errors.ts";
import type { JsonText, Place } from "./jsonc.ts";
import { ConfigError, type Path } from "./problems.ts";

/** A YAML text, and where its values stand in it. Throws ConfigError where it is none. */
export function parseYaml(text: string, file: string): Pick<JsonText, "value" | "placeOf"> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const [error] = document.errors;
  if (error !== undefined)
    throw new ConfigError(file, [{ path: "", message: error.message, ...at(error.pos[0]) }]);
  /** Of the value, or of the nearest one around it. */
  const placeOf = (path: Path): Place => {
    const node = document.getIn(path, true);
    if (isNode(node) && node.range) return at(node.range[0]);
    return path.length === 0 ? { line: 1, column: 1 } : placeOf(path.slice(0, -1));
  };
  try {
    return { value: document.toJS() as unknown, placeOf };
  } catch (thrown) {
    // Such as too many aliases.
    throw new ConfigError(file, [{ path: "", message: messageOf(thrown) }]);
  }
}
