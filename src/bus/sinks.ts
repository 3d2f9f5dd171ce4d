import { isDeepStrictEqual } from "node:util";
import type { JsonObject } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { CallError, cancelled } from "../errors.ts";
import { compileTemplate } from "../expressions/template.ts";
import { TokenBucket } from "../token-bucket.ts";
import { now } from "../time.ts";
import { Batcher, type BatcherStatus } from "./batcher.ts";
import type { Subscriber } from "./bus.ts";
import { deepest, isReserved, type Notice } from "./cloud-event.ts";
import { EventFile } from "./event-file.ts";
import type { FileSinkOptions, SinkOptions, ToolSinkOptions } from "./events-options.ts";
import { callFor, type Door } from "./runs.ts";

/** What sinks stand on. */
export interface SinkSurroundings {
  readonly door: Door;
  readonly onProblem: (problem: string) => void;
}

/** How a sink does. */
export interface SinkStatus extends BatcherStatus {
  readonly name: string;
}

/** Where events go, many at once. */
export class Sink implements Subscriber {
  readonly types: readonly string[];
  /** Whether it needs no server. */
  readonly isFile: boolean;
  readonly hears: (notice: Notice) => boolean;
  readonly #options: SinkOptions;
  readonly #batcher: Batcher;
  readonly #stop = new Cancel();

  constructor(options: SinkOptions, around: SinkSurroundings) {
    this.types = options.types;
    this.#options = options;
    this.isFile = options.type === "file";
    this.#batcher = new Batcher({
      ...options,
      name: nameOf(options),
      write: options.type === "file" ? toFile(options) : toTool(options, around.door, this.#stop),
      onProblem: around.onProblem,
    });
    this.hears = this.isFile ? () => true : withoutLoops(() => this.#batcher.drop());
  }

  readonly handle = (notice: Notice): void => this.#batcher.add(notice);

  /** Whether config says of it what it is. */
  is(options: SinkOptions): boolean {
    return isDeepStrictEqual(options, this.#options);
  }

  flush(): Promise<void> {
    return this.#batcher.flush();
  }

  status(): SinkStatus {
    return { name: nameOf(this.#options), ...this.#batcher.status() };
  }

  close(): void {
    this.#stop.cancel(cancelled("Holdfast ends"));
    this.#batcher.close();
  }
}

const nameOf = (options: SinkOptions): string =>
  options.type === "file" ? `the file ${options.path}` : `the tool ${options.tool}`;

function toFile({ path, maxBytes }: FileSinkOptions) {
  const file = new EventFile(path, maxBytes);
  return (batch: readonly Notice[]): Promise<void> => file.append(batch.map(({ event }) => event));
}

function toTool({ tool: name, arguments: template }: ToolSinkOptions, door: Door, signal: Cancel) {
  const args =
    template && compileTemplate(template, { scope: ["events"], where: `the sink ${name}` });
  return async (batch: readonly Notice[]): Promise<void> => {
    const tool = door.findTool(name, true);
    if (tool === undefined)
      throw new CallError("unavailable", `there is no tool ${name}`, { outcome: "failed" });
    const events = batch.map(({ event }) => event);
    const given = args === undefined ? { events } : (args.evaluate({ events }) as JsonObject);
    const depth = Math.max(...batch.map((notice) => notice.depth));
    await callFor(door, tool, given, { principal: "local", depth, signal });
  };
}

/** Events of the gateway's own that no call has caused, and that a tool is given in a minute. */
const uncausedPerMinute = 60;

/**
 * What may be given to a tool without end: nothing that the gateway tells of calls that events have caused, nor of
 * the bus itself; events of users to a bounded depth; and what befalls servers at a bounded rate, since the tool's
 * own server may be the one. `onDrop` is told of each that is over that rate.
 */
export function withoutLoops(onDrop: () => void): (notice: Notice) => boolean {
  const bucket = new TokenBucket(uncausedPerMinute / 60, uncausedPerMinute, now());
  return ({ event: { type }, owner, depth }) => {
    if (!isReserved(type)) return depth < deepest;
    if (depth > 0 || type.startsWith("event.")) return false;
    if (owner !== undefined || bucket.take(now())) return true;
    onDrop();
    return false;
  };
}
