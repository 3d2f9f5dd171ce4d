import type { Call } from "../call.ts";
import type { GatewayEvent, RunInfo } from "../events.ts";

export type Level = "debug" | "info" | "warn" | "error";

/** One line of the log, before it is written. Undefined members are left out. */
interface Entry {
  readonly level: Level;
  readonly message: string;
  readonly [member: string]: unknown;
}

export interface LogOptions {
  /** The least level that is written. `silent`: nothing is. */
  readonly level: Level | "silent";
  readonly format: "pretty" | "json";
  /** Takes one line, without its end. */
  readonly write: (line: string) => void;
  /** Takes secrets out of a line. */
  readonly redact: (line: string) => string;
}

const ranks = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 } as const;

/** A subscriber that writes a line for each event of its level or above. Arguments and results are never written. */
export function logger(options: LogOptions): (event: GatewayEvent) => void {
  const least = ranks[options.level];
  const format = options.format === "json" ? asJson : asText;
  return (event) => {
    if (ranks[levelOf(event)] >= least)
      options.write(options.redact(format(event.type, entryOf(event))));
  };
}

function levelOf(event: GatewayEvent): Level {
  switch (event.type) {
    case "call.started":
    case "call.progress":
    case "upstream.stderr":
    case "call.waited":
    case "call.hedged":
    case "call.coalesced":
    case "cache.hit":
    case "cache.missed":
      return "debug";
    case "call.succeeded":
    case "call.answered":
    case "config.reloaded":
    case "group.selected":
      return "info";
    case "call.failed":
      return event.error.code === "cancelled" ? "info" : "warn";
    case "upstream.state":
      return event.to === "lost" ? "warn" : event.to === "ready" ? "info" : "debug";
    case "run.started":
      return "info";
    case "run.step":
      return event.phase === "unknown" || event.phase === "undo_failed" ? "warn" : "debug";
    case "run.ended":
      return event.state === "completed" ? "info" : "warn";
    case "call.retried":
    case "circuit.changed":
    case "budget.alert":
    case "upstream.problem":
    case "catalog.tool_problem":
    case "config.problem":
    case "event.problem":
      return "warn";
    case "gateway.problem":
      return "error";
  }
}

function entryOf(event: GatewayEvent): Entry {
  const level = levelOf(event);
  switch (event.type) {
    case "call.started":
      return { level, message: `${nameOf(event.call)} started`, ...callFields(event.call) };
    case "call.progress": {
      const { progress } = event.progress;
      const total = event.progress["total"];
      return {
        level,
        message: `${nameOf(event.call)} at ${progress}${typeof total === "number" ? ` of ${total}` : ""}`,
        ...callFields(event.call),
        progress,
        total,
      };
    }
    case "call.succeeded":
    case "call.answered": {
      const ms = rounded(event.ms);
      const how =
        event.type === "call.succeeded" ? "succeeded" : "answered with an error of the tool";
      return {
        level,
        message: `${nameOf(event.call)} ${how} in ${ms} ms`,
        ...callFields(event.call),
        ms,
      };
    }
    case "call.failed": {
      const ms = rounded(event.ms);
      const { code, outcome, message } = event.error;
      return {
        level,
        message: `${nameOf(event.call)} failed after ${ms} ms (${code}, ${outcome}): ${message}`,
        ...callFields(event.call),
        ms,
        code,
        outcome,
      };
    }
    case "call.retried": {
      const { attempt, reason } = event;
      const delayMs = rounded(event.delayMs);
      return {
        level,
        message: `${nameOf(event.call)} is tried again in ${delayMs} ms, after attempt ${attempt}: ${reason}`,
        ...callFields(event.call),
        attempt,
        delayMs,
      };
    }
    case "call.waited": {
      const ms = rounded(event.ms);
      return {
        level,
        message: `${nameOf(event.call)} waited ${ms} ms for its turn (${event.queue})`,
        ...callFields(event.call),
        queue: event.queue,
        ms,
      };
    }
    case "call.hedged":
      return { level, message: `${nameOf(event.call)} is sent twice`, ...callFields(event.call) };
    case "call.coalesced":
      return { level, message: `${nameOf(event.call)} shares a call`, ...callFields(event.call) };
    case "cache.hit": {
      const how = event.stale ? "from the cache, stale" : "from the cache";
      return { level, message: `${nameOf(event.call)} ${how}`, ...callFields(event.call) };
    }
    case "cache.missed":
      return { level, message: `${nameOf(event.call)} is not cached`, ...callFields(event.call) };
    case "circuit.changed": {
      const { upstream, tool, from, to, reason, openMs } = event;
      const what = tool === undefined ? upstream : `${upstream}, tool ${tool}`;
      return {
        level,
        message: `the circuit of ${what} is ${to}: ${reason}`,
        upstream,
        tool,
        from,
        to,
        openMs,
      };
    }
    case "budget.alert": {
      const { budget, account, spentUsd, limitUsd } = event;
      return {
        level,
        message: `of the budget per ${budget} (${account}), ${spentUsd} of ${limitUsd} USD are spent`,
        budget,
        account,
        spentUsd,
        limitUsd,
      };
    }
    case "group.selected":
      return {
        level,
        message: `${nameOf(event.call)} goes to ${event.provider}`,
        ...callFields(event.call),
        provider: event.provider,
      };
    case "run.started":
      return { level, message: `${runName(event.run)} started`, ...runFields(event.run) };
    case "run.step": {
      const { run, step, tool, phase, error } = event;
      const why = error === undefined ? "" : `: ${error}`;
      return {
        level,
        message: `${runName(run)}: ${step} (${tool}) ${phases[phase]}${why}`,
        ...runFields(run),
        step,
        tool,
        phase,
      };
    }
    case "run.ended": {
      const { run, state, error } = event;
      const ms = rounded(event.ms);
      const why = error === undefined ? "" : `: ${error}`;
      return {
        level,
        message: `${runName(run)} ${ends[state]} after ${ms} ms${why}`,
        ...runFields(run),
        state,
        ms,
      };
    }
    case "upstream.state":
      return {
        level,
        message: `${event.upstream} is ${event.to}${event.reason === undefined ? "" : `: ${event.reason}`}`,
        upstream: event.upstream,
        from: event.from,
        to: event.to,
      };
    case "upstream.problem":
      return {
        level,
        message: `${event.upstream} ${event.problem}`,
        upstream: event.upstream,
      };
    case "upstream.stderr":
      return {
        level,
        message: `${event.upstream} says: ${event.line}`,
        upstream: event.upstream,
      };
    case "catalog.tool_problem":
      return {
        level,
        message: `${event.upstream}: tool ${event.tool}: ${event.problem}`,
        upstream: event.upstream,
        tool: event.tool,
      };
    case "config.reloaded":
      return { level, message: `config was read anew from ${event.file}` };
    case "config.problem":
    case "gateway.problem":
    case "event.problem":
      return { level, message: event.problem };
  }
}

const nameOf = ({ tool, method }: Call): string => tool?.name ?? method;

const callFields = (call: Call): Record<string, unknown> => ({
  upstream: call.upstream,
  tool: call.tool?.name,
  caller: call.caller.principal,
  session: call.caller.session,
  client: call.caller.client,
  trace: call.trace,
});

const phases = {
  started: "started",
  succeeded: "succeeded",
  failed: "failed",
  unknown: "may have happened",
  undone: "was undone",
  undo_failed: "could not be undone",
} as const;

const ends = {
  completed: "is completed",
  failed: "failed",
  compensated: "is undone",
  stuck: "is stuck",
} as const;

const runName = ({ kind, name, id }: RunInfo): string => `${kind} ${name} (${id})`;

const runFields = ({ id, kind, name, caller, trace }: RunInfo): Record<string, unknown> => ({
  run: id,
  kind,
  name,
  caller: caller.principal,
  session: caller.session,
  trace,
});

const rounded = (ms: number): number => Math.round(ms * 1000) / 1000;

const asJson = (type: string, { level, message, ...rest }: Entry): string =>
  JSON.stringify({ time: time(), level, event: type, message, ...rest });

/** What others wrote must not be able to end a line or move a terminal's cursor. */
// oxlint-disable-next-line no-control-regex -- the same as \p{Cc}, which takes ten times as long
const controls = /[\u0000-\u001f\u007f-\u009f]+/g;

const asText = (_type: string, { level, message }: Entry): string =>
  `${time()} ${level.padEnd(5)} ${message.replace(controls, " ")}`;

let lastAt = 0;
let lastTime = "";

/** The time of a line. Many are written in one millisecond, so its text is made once. */
function time(): string {
  const at = Date.now();
  if (at !== lastAt) {
    lastAt = at;
    lastTime = new Date(at).toISOString();
  }
  return lastTime;
}
