import type { GatewayEvent } from "../events.ts";
import type { RemoteStatus } from "../upstream/remote.ts";
import { openFor } from "./open.ts";
import { table, type Output } from "./output.ts";

/**
 * `holdfast check`: starts every server once and tells how that went. 1 where one is broken, or config names
 * tools that are not there, else 0.
 */
export async function check(file: string | undefined, output: Output): Promise<number> {
  const problems: { readonly server: string; readonly problem: string }[] = [];
  const { servers, config, references } = await openFor(
    file,
    async ({ holdfast, config: used }) => {
      await holdfast.settled();
      return {
        servers: [...holdfast.status()],
        config: used,
        references: await holdfast.references(),
      };
    },
    {
      passive: true,
      subscriber: (event) => {
        const problem = problemOf(event);
        if (problem !== undefined) problems.push(problem);
      },
    },
  );
  const { file: from } = config;
  const warnings = [...config.warnings, ...references];
  const disabled = new Set(
    config.servers.filter((server) => server.disabled).map(({ name }) => name),
  );
  const broken = servers.filter(([name, { state }]) => state !== "ready" && !disabled.has(name));
  const ok = broken.length === 0 && references.length === 0;
  if (output.json)
    output.line(
      JSON.stringify({
        file: from,
        ok,
        servers: servers.map(([name, status]) => ({
          name,
          ...status,
          problems: problems.filter(({ server }) => server === name).map(({ problem }) => problem),
        })),
        warnings,
      }),
    );
  else {
    output.line(from);
    for (const row of table([
      ["SERVER", "STATE", "TIME", "TOOLS", "VERSION"],
      ...servers.map(([name, status]) => rowOf(name, status)),
    ]))
      output.line(row);
    const lines = [
      ...broken.map(([name, { problem }]) => `${name}: ${problem ?? "is not ready"}`),
      ...problems.map(({ server, problem }) => `${server}: ${problem}`),
      ...warnings,
    ];
    if (lines.length > 0) output.line();
    for (const line of lines) output.line(`! ${line}`);
  }
  return ok ? 0 : 1;
}

const rowOf = (name: string, status: RemoteStatus): string[] => [
  name,
  status.state === "ready" || status.state === "disabled" ? status.state : "broken",
  status.connectMs === undefined ? "-" : `${status.connectMs} ms`,
  status.state === "ready" ? String(status.tools) : "-",
  status.info === undefined ? "-" : `${status.info.name} ${status.info.version}`.trim(),
];

function problemOf(event: GatewayEvent): { server: string; problem: string } | undefined {
  if (event.type === "upstream.problem") return { server: event.upstream, problem: event.problem };
  if (event.type === "catalog.tool_problem")
    return { server: event.upstream, problem: `tool ${event.tool}: ${event.problem}` };
  return undefined;
}
