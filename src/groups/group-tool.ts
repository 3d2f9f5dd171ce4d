import type { Call, Deadline, Effect, JsonObject, Result, Tool } from "../call.ts";
import { classifyError, classifyResult } from "../classify.ts";
import { asCallError, CallError, messageOf } from "../errors.ts";
import type { Report } from "../events.ts";
import { compileTemplate, type Template } from "../expressions/template.ts";
import type { OwnTool } from "../own/own-tools.ts";
import { valueOf } from "../result-value.ts";
import { now } from "../time.ts";
import type { Group, Provider } from "./group-options.ts";
import { choose, isFit, type Candidate } from "./select.ts";

/** What groups need to know of the tools behind them. */
export interface Providers {
  /** The tool of an exposed name, unless it is one of Holdfast's own. */
  readonly find: (name: string) => Tool | undefined;
  /** How a tool did lately. */
  readonly figures: (tool: Tool) => Pick<Candidate, "meanMs" | "successRate">;
  /** Whether a tool's server can be asked now; pings it where nothing was heard of it for a while. */
  readonly isHealthy: (tool: Tool) => Promise<boolean>;
  readonly call: (tool: Tool, args: JsonObject, call: Call, deadline: Deadline) => Promise<Result>;
  readonly report: Report;
}

interface Option extends Candidate {
  readonly tool: Tool;
}

/** What a provider came to that did not succeed. */
type Failed = { readonly error: CallError } | { readonly result: Result };

/**
 * One tool of several that do the same. The providers are asked one after the other, each chosen by its
 * strategy, until one succeeds, for as long as the effect of the failed one allows to ask another. Each
 * gets its share of the time that is left.
 */
export function groupTool(name: string, group: Group, providers: Providers): OwnTool {
  const mappings = new Map(group.providers.map((one) => [one, mappingOf(name, one)]));

  const options = (): Option[] =>
    group.providers.flatMap((provider) => {
      const tool = isFit(provider, group) ? providers.find(provider.tool) : undefined;
      return tool === undefined ? [] : [{ provider, tool, ...providers.figures(tool) }];
    });

  const answer = async (call: Call): Promise<Result> => {
    const left = new Set(options());
    let failed: Failed | undefined;
    for (let turn = 0; left.size > 0; turn++) {
      const strategy = turn === 0 ? group.strategy : strategyOf(group, turn);
      const chosen = choose([...left], strategy);
      if (chosen === undefined) break;
      left.delete(chosen);
      // oxlint-disable no-await-in-loop -- one after the other
      if (group.healthCheck && left.size > 0 && !(await providers.isHealthy(chosen.tool))) continue;
      const outcome = await ask(call, chosen, left.size + 1);
      // oxlint-enable no-await-in-loop
      if ("done" in outcome) return outcome.done;
      failed = outcome;
      if (call.signal.reason !== undefined || !mayAskAnother(chosen.tool.effect, outcome)) break;
    }
    if (failed === undefined) throw nobody(name, group);
    if ("result" in failed) return failed.result;
    throw failed.error;
  };

  const ask = async (
    call: Call,
    { tool, provider }: Option,
    share: number,
  ): Promise<Failed | { readonly done: Result }> => {
    providers.report({ type: "group.selected", call, provider: tool.name });
    const input = (call.params["arguments"] ?? {}) as JsonObject;
    const { args, result: mapping } = mappings.get(provider) ?? {};
    const { at } = call.deadline;
    const end = at === Infinity ? at : now() + (at - now()) / share;
    try {
      const given = args === undefined ? input : argumentsFor(tool, args, input);
      const result = await providers.call(tool, given, call, { at: end, max: call.deadline.max });
      if (result["isError"] === true) return { result };
      return { done: mapped(result, mapping, input, tool) };
    } catch (error) {
      return { error: asCallError(error, tool.upstream) };
    }
  };

  return {
    definition: () => definitionOf(name, group, options()),
    answer,
  };
}

/** By which strategy the provider after `failures` failed ones is chosen. */
const strategyOf = ({ strategy, fallback }: Group, failures: number): Group["strategy"] =>
  fallback[Math.min(failures, fallback.length) - 1] ?? strategy;

/** A read may be asked of another whatever became of it; all else only where nothing was done. */
function mayAskAnother(effect: Effect, failed: Failed): boolean {
  if ("result" in failed) {
    const { failure } = classifyResult(failed.result);
    return effect === "read" && failure !== "none";
  }
  const { error } = failed;
  if (effect === "read")
    return error.local || error.rpc === undefined || classifyError(error).failure !== "none";
  return error.outcome === "failed";
}

interface Mapping {
  readonly args?: Template;
  readonly result?: Template;
}

function mappingOf(name: string, { tool, arguments: args, result }: Provider): Mapping {
  const where = `group ${name}, provider ${tool}`;
  return {
    ...(args !== undefined && { args: compileTemplate(args, { scope: ["input"], where }) }),
    ...(result !== undefined && {
      result: compileTemplate(result, { scope: ["input", "result"], where }),
    }),
  };
}

/** The arguments of a provider as config makes them. Where they cannot be made, it is not asked. */
function argumentsFor({ name, upstream }: Tool, args: Template, input: JsonObject): JsonObject {
  try {
    return args.evaluate({ input }) as JsonObject;
  } catch (error) {
    const words = `${name} was not asked: ${messageOf(error)}`;
    throw new CallError("denied", words, {
      outcome: "failed",
      local: true,
      upstream,
      cause: error,
    });
  }
}

/** The provider's result as the group gives it, with the name of who gave it. */
function mapped(
  result: Result,
  mapping: Template | undefined,
  input: JsonObject,
  { name, upstream, effect }: Tool,
): Result {
  const _meta = { ...(result["_meta"] as JsonObject | undefined), "holdfast/provider": name };
  if (mapping === undefined) return { ...result, _meta };
  let value: unknown;
  let text: string;
  try {
    value = mapping.evaluate({ input, result: valueOf(result) });
    text = typeof value === "string" ? value : JSON.stringify(value);
  } catch (error) {
    // What came is not what config says that comes.
    const words = `${name} succeeded, but its result does not fit: ${messageOf(error)}`;
    const outcome = effect === "read" ? "unknown" : "done";
    throw new CallError("bad_answer", words, { outcome, upstream, cause: error });
  }
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return {
    content: [{ type: "text", text }],
    ...(isObject && { structuredContent: value }),
    _meta,
  };
}

const nobody = (name: string, { providers }: Group): CallError =>
  new CallError(
    "unavailable",
    `none of the providers of ${name} can be asked: ${providers.map(({ tool }) => tool).join(", ")}`,
    { outcome: "failed", local: true },
  );

/** What the group can do is what all of its providers do. */
function definitionOf(name: string, group: Group, options: readonly Option[]) {
  const { title, description, inputSchema } = group;
  const effects = options.map(({ tool }) => tool.effect);
  const readOnlyHint = effects.length > 0 && effects.every((effect) => effect === "read");
  const idempotentHint = effects.length > 0 && !effects.includes("write");
  return {
    name,
    ...(title !== undefined && { title }),
    description,
    inputSchema: { type: "object", ...inputSchema },
    annotations: { readOnlyHint, ...(!readOnlyHint && { idempotentHint }) },
  };
}
