/*
 * Chains and sagas from the outside: checks what is to run, and has it run.
 */
import { createHash } from "node:crypto";
import type { Call, JsonObject, Tool } from "../call.ts";
import { canonical } from "../canonical.ts";
import { matchesAny } from "../catalog/glob.ts";
import type { Door } from "./call-step.ts";
import { checkTools } from "./check-tools.ts";
import type { Definition } from "./definition.ts";
import type { InlineOptions } from "./inline-options.ts";
import { fitInput, schemaProblem } from "./input.ts";
import { parseDefinition } from "./parse.ts";
import { linesOf, planOf, writesOf, type PlannedStep } from "./plan.ts";
import { toolsOf, type Program } from "./program.ts";
import type { RunKind } from "./run-store.ts";
import { refusal } from "./refusal.ts";
import type { Runs } from "./runs.ts";

/** A chain or a saga of config. */
export interface Workflow {
  readonly kind: RunKind;
  readonly definition: Definition;
}

/** What is to run, or to be planned. */
export interface Wanted {
  /** Of a definition of config. */
  readonly name?: string | undefined;
  /** A definition that came with the call. */
  readonly definition?: JsonObject | undefined;
  readonly input: JsonObject;
}

/** A plan, and what is wrong with it. All of it is JSON. */
export interface Plan {
  readonly name: string;
  readonly kind: RunKind;
  readonly ok: boolean;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
  readonly steps: readonly PlannedStep[];
}

/** Asks the user of a call's client. `unable`: nobody can be asked. */
export type Ask = (call: Call, message: string) => Promise<"yes" | "no" | "unable">;

interface Surroundings {
  readonly runs: Runs;
  readonly door: Door;
  readonly ask: Ask;
  /** Resolves when as many tools are known as can be waited for. */
  readonly listed: () => Promise<void>;
}

interface Prepared extends Plan {
  readonly program?: Program;
  /** With the defaults of the inputSchema. */
  readonly input: JsonObject;
  readonly written: JsonObject;
}

/** Milliseconds that a caller waits for a run where it does not say. */
export const defaultWaitMs = 50_000;
/** What a caller may say in `_meta`. */
const waitKey = "holdfast/wait-ms";
const idempotencyKey = "holdfast/idempotency-key";
const eventKey = "holdfast/event";
const longestKey = 200;

const inlineName = "inline";

export class Workflows {
  readonly #configured: ReadonlyMap<string, Workflow>;
  readonly #inline: InlineOptions;
  readonly #around: Surroundings;

  constructor(
    configured: ReadonlyMap<string, Workflow>,
    inline: InlineOptions,
    around: Surroundings,
  ) {
    this.#configured = configured;
    this.#inline = inline;
    this.#around = around;
  }

  /** Checks, and tells what would be done. Rejects with a refusal where config has no definition of that name. */
  async plan(wanted: Wanted, kind?: RunKind): Promise<Plan> {
    const { program: _, input: __, written: ___, ...plan } = await this.#prepare(wanted, kind);
    return plan;
  }

  /**
   * Runs what is wanted and waits for it, for as long as the call says. Resolves with the run's view. Rejects
   * with a refusal that tells all that is wrong.
   */
  async run(wanted: Wanted, kind: RunKind, call: Call, waitMs?: number): Promise<JsonObject> {
    const prepared = await this.#prepare(wanted, kind);
    const { program, problems, name, input, written } = prepared;
    if (program === undefined || problems.length > 0)
      throw refusal(`nothing was begun: ${problems.join("; ")}`);
    if (wanted.definition !== undefined) await this.#consent(prepared, call);
    const { meta = {}, caller, trace, signal, onProgress } = call;
    const key = meta[idempotencyKey];
    const version = versionOf(written);
    // All that come with a call have one name.
    const own = wanted.definition === undefined ? "" : `${version}.`;
    return this.#around.runs.start(
      {
        kind,
        name,
        program,
        input,
        caller,
        trace,
        definition: written,
        version,
        event: meta[eventKey] ?? null,
        key: typeof key === "string" ? shortKey(own + key) : undefined,
      },
      { waitMs: waitMs ?? waitOf(meta), signal, onProgress },
    );
  }

  /** Why a tool may not be run by what came with a call; undefined where it may. */
  forbids({ name, effect }: Pick<Tool, "name" | "effect">): string | undefined {
    const { allow, effects } = this.#inline;
    if (!matchesAny(allow, name)) return `inline.allow of config does not let ${name} be used`;
    if (!effects.includes(effect))
      return `inline.effects of config does not let ${name} be used: its effect is ${effect}`;
    return undefined;
  }

  /** What is wrong with the definitions of config, given the tools that are there; a line for each. */
  async broken(): Promise<string[]> {
    const lines = [...this.#configured].map(async ([name, workflow]) => {
      const { kind, definition } = workflow;
      const { program } = parsed(workflow);
      const problems =
        program === undefined ? [] : checkTools(program, kind, this.#around.door).problems;
      const schema = await schemaProblem(definition.inputSchema);
      const all = [...linesOf(problems), ...(schema === undefined ? [] : [schema])];
      return all.map((line) => `the ${kind} ${name}: ${line}`);
    });
    return (await Promise.all(lines)).flat();
  }

  async #prepare(wanted: Wanted, kind?: RunKind): Promise<Prepared> {
    const { name, definition, input } = wanted;
    if ((name === undefined) === (definition === undefined))
      throw refusal("expected either name, of a definition of config, or definition");
    const configured = name === undefined ? undefined : this.#named(name, kind);
    const written = configured?.definition ?? definition ?? {};
    const ofKind = configured?.kind ?? kind ?? "saga";
    const { program, problems, warnings } =
      configured === undefined ? parseDefinition(written, ofKind) : parsed(configured);
    const head = { name: name ?? inlineName, kind: ofKind, written: written as JsonObject };
    if (program === undefined)
      return { ...head, ...verdict(linesOf(problems), linesOf(warnings)), steps: [], input };
    const { door, listed } = this.#around;
    // What is not there may belong to a server that is still being connected.
    if (toolsOf(program).some((tool) => door.find(tool) === undefined)) await listed();
    const found = checkTools(program, ofKind, door);
    const fitted = await fitInput(program.definition.inputSchema, input);
    const given = "input" in fitted ? fitted.input : input;
    const lines = [
      ...linesOf([...problems, ...found.problems]),
      ...(definition === undefined ? [] : this.#forbidden(program)),
      ...("problems" in fitted ? fitted.problems : []),
    ];
    return {
      ...head,
      ...verdict(lines, linesOf([...warnings, ...found.warnings])),
      program,
      input: given,
      steps: planOf(program, ofKind, given, door),
    };
  }

  #named(name: string, kind: RunKind | undefined): Workflow {
    const found = this.#configured.get(name);
    if (found !== undefined && (kind === undefined || found.kind === kind)) return found;
    const names = [...this.#configured].flatMap(([other, workflow]) =>
      kind === undefined || workflow.kind === kind ? other : [],
    );
    const known = names.length === 0 ? "there are none" : `there are ${names.join(", ")}`;
    throw refusal(`there is no ${kind ?? "chain or saga"} ${JSON.stringify(name)}; ${known}`);
  }

  /** What of a definition that came with a call config does not allow. */
  #forbidden(program: Program): string[] {
    return toolsOf(program).flatMap((name) => {
      const tool = this.#around.door.find(name);
      return tool === undefined || "refused" in tool ? [] : (this.forbids(tool) ?? []);
    });
  }

  /** Shows the writes of a plan to the user. Rejects where the user, or nobody, agrees. */
  async #consent({ steps, kind }: Plan, call: Call): Promise<void> {
    const { consent } = this.#inline;
    const writes = writesOf(steps);
    if (consent === "off" || writes.length === 0) return;
    const list = writes.map((line) => `- ${line}`).join("\n");
    const answer = await this.#around.ask(
      call,
      `A ${kind} that the model wrote wants to call:\n${list}`,
    );
    if (answer === "no") throw refusal("the user did not agree; nothing was begun");
    if (answer === "unable" && consent === "require")
      throw refusal(
        'nothing was begun: inline.consent of config is "require", and this client cannot ask the user',
      );
  }
}

const compiled = new WeakMap<Workflow, ReturnType<typeof parseDefinition>>();

/** What a definition of config says. It is compiled once. */
function parsed(workflow: Workflow): ReturnType<typeof parseDefinition> {
  let known = compiled.get(workflow);
  if (known === undefined)
    compiled.set(workflow, (known = parseDefinition(workflow.definition, workflow.kind)));
  return known;
}

const verdict = (problems: readonly string[], warnings: readonly string[]) => ({
  ok: problems.length === 0,
  problems,
  warnings,
});

/** A key of a step in loops in loops can be long. */
const shortKey = (key: string): string =>
  key.length > longestKey ? createHash("sha256").update(key).digest("hex") : key;

const versionOf = (written: unknown): string =>
  createHash("sha256").update(canonical(written)).digest("hex").slice(0, 12);

function waitOf(meta: JsonObject): number {
  const wait = meta[waitKey];
  return typeof wait === "number" && wait >= 0 ? wait : defaultWaitMs;
}
