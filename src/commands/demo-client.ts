import type { Call, JsonObject, Progress } from "../call.ts";
import type { Cancel } from "../cancel.ts";
import { Peers, PeerSlot } from "../peer.ts";
import { now } from "../time.ts";
import { newTrace } from "../trace.ts";
import type { Connection } from "../upstream/connection.ts";
import type { ServerRecords } from "../upstream/process.ts";
import { connectStdio } from "../upstream/stdio.ts";
import type { Output } from "./output.ts";

/** Milliseconds. */
export const startTimeoutMs = 20_000;
const callTimeoutMs = 15_000;

/** How the demo's client starts Holdfast. */
interface Start {
  /** The config file. */
  readonly config: string;
  /** Beside the environment of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Told which process it is. */
  readonly records?: ServerRecords;
}

/** Starts Holdfast as a host would. */
export const startHoldfast = (
  { config, env, records }: Start,
  output: Output,
  abandon: Cancel,
): Promise<Connection> =>
  connectStdio(
    "holdfast",
    {
      command: process.execPath,
      args: [process.argv[1] ?? "", "serve", "--config", config],
      env: { ...process.env, ...env } as Record<string, string>,
      cwd: process.cwd(),
    },
    {
      asked: { peer: new PeerSlot({}), peers: new Peers() },
      problem: (problem) => output.line(`! ${problem}`),
      stderr: (line) => output.line(`! ${line}`),
      ...(records !== undefined && { records }),
    },
    startTimeoutMs,
    abandon,
  );

/** A call as the demo's client makes them. */
export const callOf = (
  tool: string,
  args: JsonObject,
  signal: Cancel,
  onProgress?: (progress: Progress) => void,
): Call => ({
  upstream: "holdfast",
  method: "tools/call",
  params: { name: tool, arguments: args },
  caller: { principal: "local", session: "demo", client: "holdfast demo" },
  signal,
  deadline: { at: now() + callTimeoutMs, max: now() + callTimeoutMs },
  onProgress,
  trace: newTrace(undefined),
});

export const since = (from: number): string => `${Math.round(now() - from)} ms`;
