import type { EventEmitter } from "node:events";
import type { Report } from "../events.ts";
import { StdioFront } from "../front/stdio.ts";
import { settlesWithin, sleep } from "../time.ts";
import { open, type Opened } from "./open.ts";
import { reloadOnChange } from "./reload.ts";

/** Milliseconds that calls under way get when the client goes. */
const drain = 500;
const tick = 20;

/** `holdfast serve`: the gateway on stdin and stdout, until the client goes. */
export async function serve(file: string | undefined): Promise<number> {
  const opened = await open(file);
  if (process.stdin.isTTY) greet(opened);
  const { holdfast, report } = opened;
  goOn(process, report);
  holdfast.peers.join("stdio", holdfast.peer);
  const front = new StdioFront(holdfast.gateway, {
    input: process.stdin,
    output: process.stdout,
    principal: "local",
    listed: holdfast.listed,
    peer: holdfast.peer,
    peers: holdfast.peers,
    onProblem: (problem) => report({ type: "gateway.problem", problem }),
  });
  const stopReloading = reloadOnChange(opened);
  void holdfast.recover();
  await Promise.race([front.gone, signalled()]);
  stopReloading();
  const drained = async (): Promise<void> => {
    // oxlint-disable-next-line no-await-in-loop -- it waits
    while (front.inFlight > 0) await sleep(tick);
  };
  await settlesWithin(drained(), drain);
  front.close();
  await opened.close();
  return 0;
}

/** Resolves when the process is next told to end. */
export const signalled = (): Promise<unknown> =>
  new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, resolve);
  });

/** What nobody caught is a defect of ours: it is told, and ends nothing. */
export function goOn(thrower: EventEmitter, report: Report): void {
  const tell = (thrown: unknown): void => {
    const words = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    report({ type: "gateway.problem", problem: `a defect, please report it: ${words}` });
  };
  thrower.on("uncaughtException", tell);
  thrower.on("unhandledRejection", tell);
}

/** For a person who started it in a terminal: stdout is the client's, so it goes to stderr. */
function greet({ config }: Opened): void {
  const names = config.servers.filter(({ disabled }) => !disabled).map(({ name }) => name);
  const entry = { command: process.execPath, args: [process.argv[1], "--config", config.file] };
  process.stderr.write(
    [
      `Holdfast serves ${names.length} MCP servers (${names.join(", ")}) from ${config.file}`,
      "It speaks MCP on stdin and stdout, and waits for a client. To connect one, put this into its config:",
      "",
      JSON.stringify({ mcpServers: { holdfast: entry } }, undefined, 2),
      "",
      "To see what the servers offer: holdfast check, holdfast tools. To leave: Ctrl-C.",
      "",
    ].join("\n"),
  );
}
