/*
 * Says where in the sources a stack is, as a report of a defect has it:
 *   node scripts/stack.mjs < stack.txt
 * dist/ has to be built of the version that the report is of.
 */
import { readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import process from "node:process";

const place = /[^\s(]*[\\/](?<file>[^\\/\s]+\.js):(?<line>\d+):(?<column>\d+)/g;

function inSource(written, file, line, column) {
  let map;
  try {
    map = JSON.parse(readFileSync(new URL(`../dist/${file}.map`, import.meta.url), "utf8"));
  } catch {
    return written;
  }
  const { originalSource, originalLine, originalColumn } = new SourceMap(map).findEntry(
    Number(line) - 1,
    Number(column) - 1,
  );
  if (originalSource === undefined) return written;
  const source = originalSource.replace(/^(?:\.\.\/)+/, "");
  return `${source}:${originalLine + 1}:${originalColumn + 1}`;
}

process.stdout.write(readFileSync(0, "utf8").replace(place, inSource));
