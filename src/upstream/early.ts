/*
 * Programs that were started before what serves them was loaded, so that both take their time side by side. They
 * are the process's own, as its children are.
 */
import { isDeepStrictEqual } from "node:util";
import { ServerProcess, startProgram, type Program, type StartedProgram } from "./process.ts";

interface Early {
  readonly program: Program;
  readonly started: StartedProgram;
}

const waiting = new Map<string, Early>();

/** Starts the program of an upstream; to be taken by `takeEarly`, or else to be ended by `endEarly`. */
export function startEarly(upstream: string, program: Program): void {
  waiting.set(upstream, { program, started: startProgram(program) });
}

/** The program of that upstream, if just that one was started early; once. */
export function takeEarly(upstream: string, program: Program): StartedProgram | undefined {
  const early = waiting.get(upstream);
  if (early === undefined || !isDeepStrictEqual(early.program, program)) return undefined;
  waiting.delete(upstream);
  return early.started;
}

/** Ends those that nobody has taken. */
export async function endEarly(): Promise<void> {
  const left = [...waiting.values()];
  waiting.clear();
  await Promise.all(
    left.map(({ program, started }) =>
      new ServerProcess(program, () => {}, undefined, undefined, started).stop(),
    ),
  );
}
