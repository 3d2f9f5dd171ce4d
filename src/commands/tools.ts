import type { Tool } from "../call.ts";
import type { Config } from "../config/load.ts";
import { unknownName } from "./nearest.ts";
import { openFor, type Opened } from "./open.ts";
import { table, type Output } from "./output.ts";

/** `holdfast tools`: every tool as clients see it. */
export async function tools(file: string | undefined, output: Output): Promise<number> {
  const all = await openFor(
    file,
    async ({ holdfast }) => {
      await holdfast.settled();
      return [...holdfast.gateway.catalog.tools.values()];
    },
    { passive: true },
  );
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

/**
 * The tool of that name, as soon as it is listed and no other server may want its name; a UsageError with the
 * nearest names where there is none when every server was tried.
 */
export async function findTool({ holdfast, config }: Opened, name: string): Promise<Tool> {
  const { gateway } = holdfast;
  const find = (): Tool | undefined => gateway.catalog.tools.get(name);
  const found = new Promise<void>((resolve) => {
    const look = (): void => {
      const tool = find();
      if (tool !== undefined && !hasRivals(tool, config)) resolve();
    };
    gateway.watch({ changed: look, notified: () => {} });
    look();
  });
  await Promise.race([found, holdfast.settled()]);
  const tool = find();
  if (tool !== undefined) return tool;
  throw unknownName("tool", name, gateway.catalog.tools.keys());
}

/** Whether another server might get the name of a tool, once it has told its own. */
const hasRivals = ({ name, upstream }: Tool, { servers }: Config): boolean =>
  servers.some((server) => server.name !== upstream && name.startsWith(server.prefix));

const longestSummary = 70;

function summary({ description, title }: Tool["definition"]): string {
  const text = [description, title].find((value) => typeof value === "string") ?? "";
  const [line = ""] = text.trim().split("\n");
  return line.length > longestSummary ? `${line.slice(0, longestSummary - 1)}…` : line;
}
