import type { Tool } from "../call.ts";
import type { Holdfast } from "../assemble.ts";
import { distance } from "fastest-levenshtein";
import { openFor } from "./open.ts";
import { table, UsageError, type Output } from "./output.ts";

/** `holdfast tools`: every tool as clients see it. */
export async function tools(file: string | undefined, output: Output): Promise<number> {
  const all = await openFor(file, async ({ holdfast }) => {
    await holdfast.settled();
    return [...holdfast.gateway.catalog.tools.values()];
  });
  if (output.json)
    output.line(
      JSON.stringify(
        all.map(({ name, upstream, remoteName, effect, definition }) => ({
          name,
          server: upstream,
          tool: remoteName,
          effect,
          definition,
        })),
      ),
    );
  else {
    const rows = all.map(({ name, effect, definition }) => [name, effect, summary(definition)]);
    for (const row of table([["TOOL", "EFFECT", "DESCRIPTION"], ...rows])) output.line(row);
  }
  return 0;
}

/** The tool of that name, when every server was tried; a UsageError with the nearest names where there is none. */
export async function findTool(holdfast: Holdfast, name: string): Promise<Tool> {
  await holdfast.settled();
  const { tools: listed } = holdfast.gateway.catalog;
  const tool = listed.get(name);
  if (tool !== undefined) return tool;
  const nearest = [...listed.keys()]
    .toSorted((a, b) => distance(a, name) - distance(b, name))
    .slice(0, 3);
  throw new UsageError(`there is no tool "${name}"; the nearest are ${nearest.join(", ")}`);
}

const longestSummary = 70;

function summary({ description, title }: Tool["definition"]): string {
  const text = [description, title].find((value) => typeof value === "string") ?? "";
  const [line = ""] = text.trim().split("\n");
  return line.length > longestSummary ? `${line.slice(0, longestSummary - 1)}…` : line;
}
