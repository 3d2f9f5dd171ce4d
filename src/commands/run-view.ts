/*
 * Runs as a person reads them in a terminal.
 */
import type { JsonObject } from "../call.ts";
import { table } from "./output.ts";

/** A run's view, as far as it is shown. */
interface View {
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  /** Who started it, where that may be somebody else. */
  readonly principal?: string;
  readonly startedAt: string;
  readonly endedAt?: string;
  readonly trace: string;
  readonly reason?: string;
  readonly problem?: string;
  readonly output?: unknown;
  readonly error?: { readonly step: string; readonly message: string };
  readonly open?: readonly { readonly step: string; readonly problem: string }[];
  readonly missing?: readonly string[];
  readonly steps: readonly {
    readonly step: string;
    readonly state: string;
    readonly tool: string;
    readonly undo?: string;
    readonly error?: string;
    readonly undoError?: string;
  }[];
}

/** A run of `get_run` in lines. */
export function viewLines(run: JsonObject): string[] {
  const view = run as unknown as View;
  const { id, name, kind, state, principal, startedAt, trace } = view;
  const { steps, error, problem, output } = view;
  const cause = error && [error.step, error.message].filter((part) => part !== "").join(": ");
  const why = [cause, problem].flatMap((part) => (part === undefined ? [] : `: ${part}`));
  const rows = steps.map((step) => [
    step.step,
    step.state,
    step.tool,
    step.undo ?? "-",
    [step.error, step.undoError].filter((part) => part !== undefined).join("; "),
  ]);
  return [
    `The ${kind} ${name} is ${state}${why.join("")}`,
    `run ${id}${principal === undefined ? "" : ` of ${principal}`}, started ${startedAt}, took ${took(view)}, trace ${trace}`,
    ...(rows.length === 0
      ? []
      : ["", ...table([["STEP", "STATE", "TOOL", "UNDO", "ERROR"], ...rows])]),
    ...(output === undefined ? [] : ["", `output ${JSON.stringify(output, undefined, 2)}`]),
    ...(state === "stuck" ? ["", ...waysOut(view)] : []),
  ];
}

/** What keeps a stuck run, and what can be done. */
function waysOut({ id, open = [], missing = [] }: View): string[] {
  const [first] = open;
  const step = open.length > 1 ? ` --step ${first?.step}` : "";
  return [
    ...missing.map((what) => `! ${what}`),
    ...open.map((call) => `! ${call.step}: ${call.problem}`),
    ...table([
      [`holdfast runs resume ${id}`, "tries again"],
      ...(first === undefined
        ? []
        : [
            [
              `holdfast runs resolve ${id} --happened${step}`,
              "when you found that the call happened",
            ],
            [`holdfast runs resolve ${id} --not${step}`, "when you found that it did not"],
          ]),
    ]),
  ];
}

/** Runs of `list_runs` as a table. */
export const listLines = (runs: readonly JsonObject[]): string[] =>
  table([
    ["ID", "NAME", "KIND", "STATE", "FOR", "STARTED", "TOOK"],
    ...(runs as unknown as readonly View[]).map((run) => [
      run.id,
      run.name,
      run.kind,
      run.state,
      run.principal ?? "",
      run.startedAt,
      took(run),
    ]),
  ]);

function took({ startedAt, endedAt }: Pick<View, "startedAt" | "endedAt">): string {
  if (endedAt === undefined) return "-";
  const ms = Date.parse(endedAt) - Date.parse(startedAt);
  if (ms < 1000) return `${ms} ms`;
  const seconds = ms / 1000;
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  const minutes = seconds / 60;
  return minutes < 120 ? `${Math.round(minutes)} min` : `${(minutes / 60).toFixed(1)} h`;
}
