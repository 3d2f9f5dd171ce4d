import { parseTree, printParseErrorCode } from "jsonc-parser";
import type { Node, ParseError } from "jsonc-parser";
import { ConfigError } from "./problems.ts";
import type { Path } from "./problems.ts";

/** Where something stands in a text; both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A JSON text that was read. */
export interface JsonText {
  readonly value: unknown;
  /** Where the key or list item at `path` stands; where there is none, the nearest one around it. */
  readonly placeOf: (path: Path) => Place;
  /** The keys of the object at `path` in the order of the text, which objects of JavaScript do not keep. */
  readonly keysOf: (path: Path) => readonly string[];
  /** Keys that stand twice in one object. The last one counts. */
  readonly duplicates: readonly Path[];
}

/** What the parser's errors mean. */
const meanings: Record<ReturnType<typeof printParseErrorCode>, string> = {
  InvalidSymbol: "this is not JSON; keys and texts stand in double quotes",
  InvalidNumberFormat: "this is not a number",
  PropertyNameExpected: "expected a key in double quotes",
  ValueExpected: "expected a value",
  ColonExpected: 'expected ":" after the key',
  CommaExpected: 'expected ","',
  CloseBraceExpected: 'expected "}"',
  CloseBracketExpected: 'expected "]"',
  EndOfFileExpected: "expected the end of the file",
  InvalidCommentToken: "expected a value, not a comment",
  UnexpectedEndOfComment: 'expected "*/" at the end of this comment',
  UnexpectedEndOfString: "expected a double quote at the end of this text",
  UnexpectedEndOfNumber: "expected a digit",
  InvalidUnicode: "expected four hex digits after \\u",
  InvalidEscapeCharacter: "a backslash in this text escapes nothing; write it twice to mean itself",
  InvalidCharacter: "a control character must be written as an escape, such as \\n or \\t",
  "<unknown ParseErrorCode>": "this is not JSON",
};

/** Reads JSON with comments and trailing commas. Throws ConfigError with the first place that is wrong. */
export function parseJsonc(text: string, file: string): JsonText {
  const source = text.replace(/^\uFEFF/, "");
  if (source.trim() === "") {
    throw new ConfigError(file, [
      { path: "", message: 'the file is empty; expected an object such as { "mcpServers": {} }' },
    ]);
  }
  const errors: ParseError[] = [];
  const root = parseTree(source, errors, { allowTrailingComma: true });
  const [error] = errors;
  if (root === undefined || error !== undefined) {
    const message = meanings[error ? printParseErrorCode(error.error) : "ValueExpected"];
    throw new ConfigError(file, [{ path: "", message, ...placeAt(source, error?.offset ?? 0) }]);
  }

  const offsets = new Map<string, number>();
  const keys = new Map<string, Set<string>>();
  const duplicates: Path[] = [];

  function valueOf(node: Node, path: Path): unknown {
    if (node.type === "array") {
      return (node.children ?? []).map((item, index) => {
        const at = [...path, index];
        offsets.set(idOf(at), item.offset);
        return valueOf(item, at);
      });
    }
    if (node.type !== "object") return node.value;
    const found = new Set<string>();
    keys.set(idOf(path), found);
    // Object.fromEntries makes even "__proto__" a key like any other.
    return Object.fromEntries(
      (node.children ?? []).flatMap((property): [string, unknown][] => {
        const [name, value] = property.children ?? [];
        if (name === undefined || value === undefined) return [];
        const key = String(name.value);
        const at = [...path, key];
        if (found.has(key)) duplicates.push(at);
        found.add(key);
        offsets.set(idOf(at), property.offset);
        return [[key, valueOf(value, at)]];
      }),
    );
  }

  return {
    value: valueOf(root, []),
    placeOf(path) {
      const around = path.map((_, index) => path.slice(0, path.length - index));
      const nearest = around.find((candidate) => offsets.has(idOf(candidate))) ?? [];
      return placeAt(source, offsets.get(idOf(nearest)) ?? root.offset);
    },
    keysOf: (path) => [...(keys.get(idOf(path)) ?? [])],
    duplicates,
  };
}

const idOf = (path: Path): string => JSON.stringify(path);

function placeAt(text: string, offset: number): Place {
  const lines = text.slice(0, offset).split("\n");
  return { line: lines.length, column: (lines.at(-1) ?? "").length + 1 };
}
