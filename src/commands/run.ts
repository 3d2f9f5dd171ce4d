import { randomUUID } from "node:crypto";
import type { Caller, JsonObject, Progress, Result } from "../call.ts";
import { Cancel } from "../cancel.ts";
import type { Config } from "../config/load.ts";
import { asCallError, messageOf } from "../errors.ts";
import type { Report } from "../events.ts";
import { ownName } from "../own/own-tools.ts";
import { now, settlesWithin } from "../time.ts";
import { answerOf, argumentsOf, textOf } from "./call.ts";
import { unknownName } from "./nearest.ts";
import { open, readConfig, type Opened } from "./open.ts";
import type { Output } from "./output.ts";
import { viewLines } from "./run-view.ts";
import { untilSignal } from "./signals.ts";

/** Milliseconds that a run may take: a day. */
const longestRun = 86_400_000;
/** Milliseconds that a run may take to be undone after a signal; what is left is undone at the next start. */
const undoTime = 30_000;

/**
 * `holdfast run NAME JSON`: a chain or saga of config, to its end. Its steps are told on the way. 0 where it is
 * completed, else 1. A signal takes it back: a chain stops, a saga is undone.
 */
export async function run(
  file: string | undefined,
  asked: string,
  json: string | undefined,
  output: Output,
): Promise<number> {
  const input = argumentsOf(json);
  const name = nameIn(await readConfig(file), asked);
  const session = `cli-${randomUUID()}`;
  const caller = { principal: "local", session, client: "holdfast run" };
  let id: string | undefined;
  const subscriber: Report = (event) => {
    if (event.type === "run.started" && event.run.caller.session === session) id ??= event.run.id;
  };
  const opened = await open(file, { subscriber });
  const { runs, peer } = opened.holdfast;
  peer.introduce({});
  const work = async (): Promise<number> => {
    const result = await called(opened, name, input, caller, ({ message }) => {
      if (typeof message === "string") output.note(message);
    });
    const view = id === undefined ? undefined : await runs.get(id, caller);
    const isCompleted = view?.["state"] === "completed";
    if (output.json) output.line(JSON.stringify(view ?? result));
    else if (view === undefined || isCompleted) output.line(textOf(result));
    else for (const line of viewLines(view)) output.line(line);
    return isCompleted ? 0 : 1;
  };
  let working: Promise<number> | undefined;
  const takeBack = (): void => {
    if (id === undefined) return;
    runs.cancel(id, caller, { waitMs: 0, signal: new Cancel() }).then(
      () => output.note("it is taken back"),
      (error: unknown) => output.note(messageOf(error)),
    );
  };
  return untilSignal(
    (stop) => {
      stop.subscribe(takeBack);
      return (working = work());
    },
    async () => {
      if (working !== undefined && id !== undefined) await settlesWithin(working, undoTime);
      await opened.close();
    },
  );
}

/** The name of a definition of config, also where it was given as that of its tool. */
function nameIn({ workflows }: Config, asked: string): string {
  const name = asked.replace(new RegExp(`^${ownName}__`), "");
  if (workflows.has(asked)) return asked;
  if (workflows.has(name)) return name;
  throw unknownName("chain or saga", asked, workflows.keys());
}

/** Calls the tool that runs it. */
function called(
  { holdfast: { gateway } }: Opened,
  name: string,
  input: JsonObject,
  caller: Caller,
  onProgress: (progress: Progress) => void,
): Promise<Result> {
  const tools = [...gateway.catalog.tools.values()];
  const tool = tools.find(
    ({ upstream, remoteName }) => upstream === ownName && remoteName === name,
  );
  if (tool === undefined) throw unknownName("chain or saga", name, []);
  const begun = now();
  const params = { arguments: input, _meta: { "holdfast/wait-ms": longestRun } };
  return gateway
    .callTool(tool, params, { caller, signal: new Cancel(), onProgress })
    .catch((error: unknown) => answerOf(asCallError(error), tool, now() - begun));
}
