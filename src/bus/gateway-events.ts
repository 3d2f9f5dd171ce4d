import type { Call, Caller, JsonObject } from "../call.ts";
import type { GatewayEvent, RunInfo } from "../events.ts";

export type GatewayType = GatewayEvent["type"];

/**
 * How the history keeps each type. The calls' own are many, so they have a shelf for themselves; what only helps
 * to find a defect is not kept: whoever wants it subscribes to it, or has it audited.
 */
export const shelves: Readonly<Record<GatewayType, "calls" | "gateway" | undefined>> = {
  "call.started": undefined,
  "call.progress": undefined,
  "call.succeeded": "calls",
  "call.answered": "calls",
  "call.failed": "calls",
  "call.retried": "calls",
  "call.waited": undefined,
  "call.hedged": "calls",
  "call.coalesced": undefined,
  "cache.hit": undefined,
  "cache.missed": undefined,
  "circuit.changed": "gateway",
  "budget.alert": "gateway",
  "group.selected": "calls",
  "run.started": "gateway",
  "run.step": "gateway",
  "run.ended": "gateway",
  "upstream.state": "gateway",
  "upstream.problem": "gateway",
  "upstream.stderr": undefined,
  "catalog.tool_problem": "gateway",
  "config.problem": "gateway",
  "config.reloaded": "gateway",
  "gateway.problem": "gateway",
  "event.problem": "gateway",
};

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Object.keys forgets the keys
export const gatewayTypes = Object.keys(shelves) as GatewayType[];

/** Whose call or run an event is about; undefined where it is about none. */
export const callerOf = (event: GatewayEvent): Caller | undefined =>
  "call" in event ? event.call.caller : "run" in event ? event.run.caller : undefined;

/** What a call that ended needs to be told of later; nothing of its arguments or its result. */
export type EndedCall = Pick<Call, "method" | "upstream" | "tool" | "caller" | "trace">;

interface Content {
  readonly subject?: string;
  readonly trace?: string;
  readonly data: JsonObject;
}

/** Characters of a text that somebody else wrote. */
const longestText = 1000;

/**
 * What a gateway event says, as plain JSON of a bounded size. Arguments and results of calls are never in it;
 * `redact` takes secrets out of texts.
 */
export function contentOf(event: GatewayEvent, redact: (text: string) => string): Content {
  const text = (words: string): string => redact(words).slice(0, longestText);
  switch (event.type) {
    case "call.started":
    case "call.hedged":
    case "call.coalesced":
    case "cache.missed":
      return ofCall(event.call);
    case "cache.hit":
      return ofCall(event.call, { stale: event.stale });
    case "call.progress": {
      const { progress, total } = event.progress;
      return ofCall(event.call, { progress, ...(typeof total === "number" && { total }) });
    }
    case "call.succeeded":
    case "call.answered":
      return ofEndedCall(event.call, event.ms);
    case "call.failed": {
      const { code, outcome, attempts, message, retryAfterMs } = event.error;
      return ofCall(event.call, {
        ms: rounded(event.ms),
        code,
        outcome,
        attempts,
        message: text(message),
        ...(retryAfterMs !== undefined && { retryAfterMs }),
      });
    }
    case "call.retried": {
      const { attempt, delayMs, reason } = event;
      return ofCall(event.call, { attempt, delayMs: rounded(delayMs), reason: text(reason) });
    }
    case "call.waited":
      return ofCall(event.call, { queue: event.queue, ms: rounded(event.ms) });
    case "group.selected":
      return ofCall(event.call, { provider: event.provider });
    case "run.started":
      return ofRun(event.run);
    case "run.step": {
      const { run, step, tool, phase, error } = event;
      return ofRun(run, { step, tool, phase, ...(error !== undefined && { error: text(error) }) });
    }
    case "run.ended": {
      const { run, state, ms, error } = event;
      const why = error !== undefined && { error: text(error) };
      return ofRun(run, { state, ms: rounded(ms), ...why });
    }
    case "circuit.changed": {
      const { type: _, reason, ...data } = event;
      return { subject: data.tool ?? data.upstream, data: { ...data, reason: text(reason) } };
    }
    case "budget.alert": {
      const { type: _, ...data } = event;
      return { subject: data.account, data };
    }
    case "upstream.state": {
      const { upstream, from, to, reason } = event;
      return {
        subject: upstream,
        data: { upstream, from, to, ...(reason !== undefined && { reason: text(reason) }) },
      };
    }
    case "upstream.problem":
      return ofUpstream(event, { problem: text(event.problem) });
    case "upstream.stderr":
      return ofUpstream(event, { line: text(event.line) });
    case "catalog.tool_problem":
      return ofUpstream(event, { tool: event.tool, problem: text(event.problem) });
    case "config.reloaded":
      return { data: { file: event.file } };
    case "config.problem":
    case "gateway.problem":
    case "event.problem":
      return { data: { problem: text(event.problem) } };
  }
}

/** What an event says of a call that ended with an answer. */
export const ofEndedCall = (call: EndedCall, ms: number): Content =>
  ofCall(call, { ms: rounded(ms) });

const rounded = (ms: number): number => Math.round(ms * 1000) / 1000;

const ofCall = (
  { method, upstream, tool, caller, trace }: EndedCall,
  more: JsonObject = {},
): Content => ({
  subject: tool?.name ?? upstream,
  trace,
  data: {
    method,
    upstream,
    ...(tool !== undefined && { tool: tool.name }),
    caller: { ...caller },
    ...more,
  },
});

const ofRun = ({ id, name, kind, caller, trace }: RunInfo, more: JsonObject = {}): Content => ({
  subject: name,
  trace,
  data: { run: id, name, kind, caller: { ...caller }, ...more },
});

const ofUpstream = ({ upstream }: { readonly upstream: string }, more: JsonObject): Content => ({
  subject: upstream,
  data: { upstream, ...more },
});
