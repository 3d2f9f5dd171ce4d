import type { JsonObject, Result } from "../call.ts";
import type { Cancel } from "../cancel.ts";
import type { Config } from "../config/load.ts";
import { NoConfig } from "../config/problems.ts";
import { asCallError } from "../errors.ts";
import { now } from "../time.ts";
import type { Connection } from "../upstream/connection.ts";
import { textOf } from "./call.ts";
import { callOf, since, startHoldfast, startTimeoutMs } from "./demo-client.ts";
import { OrderStory } from "./demo-order.ts";
import { readConfig } from "./open.ts";
import { table, type Output } from "./output.ts";
import { untilSignal } from "./signals.ts";

const longestShown = 60;

/** What the demo calls, of the tools that are there. */
const calls: readonly (readonly [tool: string, args: JsonObject])[] = [
  ["everything__echo", { message: "hello" }],
  ["everything__get-sum", { a: 2, b: 40 }],
  ["everything__get-sum", { a: "two" }],
  ["everything__trigger-long-running-operation", { duration: 1, steps: 4 }],
  ["filesystem__list_directory", { path: "." }],
  ["memory__read_graph", {}],
  ["holdfast__status", {}],
];

/**
 * `holdfast demo`: a real client starts Holdfast as its server, lists, calls, and prints what happened, where there
 * is a config; then it places orders. 1 where something came out otherwise than told, else 0.
 */
export async function demo(file: string | undefined, output: Output): Promise<number> {
  const config = await readConfig(file).catch((error: unknown) => {
    if (error instanceof NoConfig) return undefined;
    throw error;
  });
  let connecting: Promise<Connection> | undefined;
  const leave = async (): Promise<void> => {
    await connecting?.then(
      (connection) => connection.close(),
      () => {},
    );
  };
  const calling = async ({ file: from }: Config, stop: Cancel): Promise<number> => {
    output.line(`A client starts Holdfast as its only MCP server, on ${from}`);
    connecting = startHoldfast({ config: from }, output, stop);
    const failed = await show(connecting, output, stop);
    const closing = now();
    await leave();
    const gone = since(closing);
    output.line(`The client leaves; Holdfast and all its servers are gone after ${gone}.`);
    output.line();
    return failed;
  };
  const story = new OrderStory(output);
  const failed = await untilSignal(
    async (stop) => {
      const failures = config === undefined ? 0 : await calling(config, stop);
      return failures + (await story.tell(stop));
    },
    async () => {
      await leave();
      await story.close();
    },
  );
  return failed === 0 ? 0 : 1;
}

/** Prints what there is, and what some calls do. Answers how many of them failed. */
async function show(
  connecting: Promise<Connection>,
  output: Output,
  stop: Cancel,
): Promise<number> {
  const begun = now();
  const connection = await connecting;
  const { name, version, protocolVersion } = connection.info;
  output.line(
    `initialize   ${name} ${version}, protocol ${protocolVersion}, after ${since(begun)}`,
  );
  const tools = await connection.list("tools", startTimeoutMs);
  output.line(`tools/list   ${tools.length} tools, after ${since(begun)}`);
  const names = new Set(tools.map((tool) => tool.name));
  for (const row of table(countByPrefix([...names]))) output.line(`             ${row}`);
  output.line("tools/call");
  const rows: string[][] = [];
  let failed = 0;
  for (const [tool, args] of calls.filter(([wanted]) => names.has(wanted))) {
    let notes = 0;
    const from = now();
    const request = callOf(tool, args, stop, () => notes++);
    // oxlint-disable-next-line no-await-in-loop -- one after the other, to be read
    const shown = await connection.handle(request).then(describe, (error: unknown) => {
      if (stop.reason !== undefined) throw stop.reason;
      failed++;
      return `failed: ${asCallError(error).message}`;
    });
    const progress = notes > 0 ? `, ${notes} progress notes` : "";
    rows.push([tool, JSON.stringify(args), `${shown} (${since(from)}${progress})`]);
  }
  for (const row of table(rows)) output.line(`  ${row}`);
  return failed;
}

function describe(result: Result): string {
  const text = textOf(result).replace(/\s+/g, " ").trim();
  const shown = text.length > longestShown ? `${text.slice(0, longestShown - 1)}…` : text;
  return result["isError"] === true ? `the tool says no: ${shown}` : shown;
}

function countByPrefix(names: readonly string[]): string[][] {
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const prefix = name.split("__", 1)[0] ?? "";
    groups.set(prefix, [...(groups.get(prefix) ?? []), name]);
  }
  return [...groups].map(([prefix, group]) => [
    prefix,
    String(group.length),
    `such as ${group.slice(0, 2).join(", ")}`,
  ]);
}
