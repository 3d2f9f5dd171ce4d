import type { Call, JsonObject, Result } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { CallError, type RpcError } from "../errors.ts";
import { taskPause } from "../task-pause.ts";
import { pause } from "../wait.ts";
import { isObject } from "../wire.ts";
import { keptAlive } from "./alive.ts";
import { answers, type Client } from "./input.ts";

/** Whether an answer is that the server goes on by itself, and is to be asked how far it is. */
export const isTask = (result: Result): boolean => result["resultType"] === "task";

/**
 * Waits for the end of a task that a call has become, and gives what the call would have been answered with. What
 * the task needs to know, the client is asked. `send` is to give answers as they come. When it is not waited for any
 * more, the task is taken back.
 */
export async function followTask(
  call: Call,
  client: Client,
  created: Result,
  send: (call: Call) => Promise<Result>,
): Promise<Result> {
  const { taskId } = created;
  const ask = (method: string, params: JsonObject, over: Partial<Call> = {}): Promise<Result> =>
    send({ ...call, method, params: { taskId, ...params }, onProgress: undefined, ...over });
  const answered = new Set<string>();
  const nextLook = async (task: Result): Promise<Result> => {
    const open = openQuestions(task, answered);
    if (open === undefined) await keptAlive(call, pause(call, taskPause(task["pollIntervalMs"])));
    else {
      await ask("tasks/update", { inputResponses: await answers(call, client, open) });
      for (const key of Object.keys(open)) answered.add(key);
    }
    return ask("tasks/get", {});
  };
  try {
    for (let task = created; ;) {
      const end = endOf(call, task);
      if (end !== undefined) return end;
      // oxlint-disable-next-line no-await-in-loop -- one look after the other
      task = await nextLook(task).catch((error: unknown) => Promise.reject(begun(call, error)));
    }
  } catch (error) {
    // Of one that has ended it is not wanted any more either.
    ask("tasks/cancel", {}, { signal: new Cancel() }).catch(() => {});
    throw error;
  }
}

/** What a task is left for, which may have done something by then, whatever became of the request that failed. */
function begun({ upstream }: Call, error: unknown): unknown {
  if (!(error instanceof CallError) || error.outcome === "unknown") return error;
  const { code, message, local } = error;
  const known = code === "rate_limited" || code === "unavailable" ? "connection_lost" : code;
  return new CallError(known, message, { outcome: "unknown", upstream, local, cause: error });
}

/** What the task waits for, less what it was answered already. */
function openQuestions(
  { status, inputRequests }: Result,
  answered: ReadonlySet<string>,
): JsonObject | undefined {
  if (status !== "input_required" || !isObject(inputRequests)) return undefined;
  const open = Object.entries(inputRequests).filter(([key]) => !answered.has(key));
  return open.length === 0 ? undefined : Object.fromEntries(open);
}

/** What the call is answered with; undefined while the task goes on. Throws where it has failed. */
function endOf({ upstream }: Call, task: Result): Result | undefined {
  const { status, statusMessage, result, error } = task;
  const said = typeof statusMessage === "string" ? `: ${statusMessage}` : "";
  switch (status) {
    case "working":
    case "input_required":
      return undefined;
    case "completed":
      if (isObject(result)) return result;
      break;
    case "failed":
      if (isRpcError(error))
        throw new CallError("upstream_error", error.message, {
          outcome: "answered",
          upstream,
          rpc: error,
        });
      break;
    case "cancelled":
      throw new CallError("upstream_error", `${upstream} has stopped the task${said}`, {
        outcome: "unknown",
        upstream,
      });
  }
  throw new CallError(
    "bad_answer",
    `expected a task with a status and what belongs to it, got ${JSON.stringify(status)}${said}`,
    { outcome: "unknown", upstream },
  );
}

const isRpcError = (error: unknown): error is RpcError & JsonObject =>
  isObject(error) && Number.isInteger(error["code"]) && typeof error["message"] === "string";
