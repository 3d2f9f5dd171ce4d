/*
 * A run as the result of a call: a model reads the text, a program the structured content and `_meta`.
 */
import type { JsonObject, Result } from "../call.ts";
import type { Outcome } from "../errors.ts";

/** A run's view, as far as its words need it. */
interface View {
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly steps: readonly {
    readonly step: string;
    readonly state: string;
    readonly effect: string;
  }[];
  readonly error?: { readonly step: string; readonly message: string };
  /** Why its output could not be made. */
  readonly problem?: string;
  readonly reason?: string;
  readonly open?: readonly { readonly step: string; readonly problem: string }[];
  readonly missing?: readonly string[];
}

/** The whole view. An error for the model where the run came to a bad end. */
export function runResult(view: JsonObject): Result {
  const words = wordsOf(view as unknown as View);
  return {
    content: [{ type: "text", text: `${words}\n${JSON.stringify(view, undefined, 2)}` }],
    structuredContent: view,
    ...endOf(view as unknown as View, words),
  };
}

/** What a chain or saga of config answers as a tool: its output, where it came to one. */
export function outputResult(view: JsonObject): Result {
  const { id, state, output, problem } = view;
  if (state !== "completed" || problem !== undefined) return runResult(view);
  const text = typeof output === "string" ? output : JSON.stringify(output, undefined, 2);
  const isObject = typeof output === "object" && output !== null && !Array.isArray(output);
  return {
    content: [{ type: "text", text }],
    ...(isObject && { structuredContent: output }),
    _meta: { "holdfast/run": { id, state } },
  };
}

function endOf(view: View, message: string): JsonObject {
  const run = { id: view.id, state: view.state };
  const outcome = outcomeOf(view);
  if (outcome === undefined) return { _meta: { "holdfast/run": run } };
  const failure = { code: "upstream_error", outcome, message, attempts: 1 };
  return { isError: true, _meta: { "holdfast/run": run, "holdfast/failure": failure } };
}

/** What is known of the effect of a run that did not complete; undefined where it did, or may yet. */
function outcomeOf({ state, steps }: View): Outcome | undefined {
  switch (state) {
    case "compensated":
      return "failed";
    case "stuck":
      return "unknown";
    case "failed": {
      const isLeft = ({ effect, state: of }: View["steps"][number]): boolean =>
        effect !== "read" && (of === "done" || of === "unknown");
      return steps.some(isLeft) ? "unknown" : "failed";
    }
    default:
      return undefined;
  }
}

function wordsOf(view: View): string {
  const { kind, name, state, id, error, steps, problem } = view;
  const what = `The ${kind} ${name}`;
  const named = (of: string): string =>
    steps.flatMap((one) => (one.state === of ? one.step : [])).join(", ");
  const cause =
    error === undefined ? "" : `${error.step === "" ? "" : `step ${error.step}: `}${error.message}`;
  switch (state) {
    case "completed":
      return problem === undefined
        ? `${what} is completed.`
        : `${what} is completed, but its output cannot be made: ${problem}`;
    case "compensated":
      return `${what} did not come through (${cause}). All that it had done was undone: ${named("undone") || "nothing was"}.`;
    case "failed": {
      const open = named("unknown");
      const doubt = open === "" ? "" : ` Nobody knows whether these were done: ${open}.`;
      return `${what} failed (${cause}). Steps that were done and stay done: ${named("done") || "none"}.${doubt}`;
    }
    case "stuck":
      return `${what} is stuck. ${stuckWords(view, cause)}`;
    default:
      return `${what} is still ${state}, as run ${id}. Ask get_run for how it goes; do not start it again.`;
  }
}

function stuckWords({ reason, open = [], missing = [], id }: View, cause: string): string {
  const list = open.map(({ step, problem }) => `${step} (${problem})`).join("; ");
  const ways = `resume_run ${id} tries again; resolve_run ${id} tells whether a call happened, once a person has looked.`;
  switch (reason) {
    case "unknown":
      return `Nobody knows whether these calls happened: ${list}. Nothing was guessed, and nothing undone. ${ways}`;
    case "after_pivot":
      return `It is past the point of no return, and cannot go on: ${list || cause}. ${ways}`;
    case "undo_failed":
      return `It is being undone since it did not come through (${cause}), but these calls fail: ${list}. ${ways}`;
    default:
      return `It needs what is not there: ${missing.join("; ")}. It goes on by itself when that is back.`;
  }
}
