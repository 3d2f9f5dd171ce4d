/*
 * Tasks as servers of 2025-11-25 have them: the client says that a call is to become one, and must say so of some
 * tools. A client of the newer era never says so; for it the task is waited for.
 */
import type { Caller, JsonObject, Result, Tool } from "../call.ts";
import { Cancel } from "../cancel.ts";
import type { Gateway } from "../gateway.ts";
import { taskPause } from "../task-pause.ts";
import { pause } from "../wait.ts";
import { isObject } from "../wire.ts";

/** Whether calls of a tool must become tasks. */
export const mustBeTask = (tool: Tool | undefined): boolean => {
  const execution = tool?.definition["execution"];
  return isObject(execution) && execution["taskSupport"] === "required";
};

/** Who waits for a task, and where it is. */
interface Waiter {
  readonly upstream: string;
  readonly caller: Caller;
  readonly signal: Cancel;
}

/** Waits for the end of a task, and resolves with what its call would have been answered with. Takes it back on a cancel. */
export async function awaitTask(
  gateway: Gateway,
  waiter: Waiter,
  created: JsonObject,
): Promise<Result> {
  const { taskId } = created;
  const ask = (method: string, signal = waiter.signal): Promise<Result> =>
    gateway.send({ ...waiter, method, params: { taskId }, signal });
  try {
    let task = created;
    while (task["status"] === "working") {
      // oxlint-disable no-await-in-loop -- one look after the other
      await pause(waiter, taskPause(task["pollInterval"]));
      task = await ask("tasks/get");
      // oxlint-enable no-await-in-loop
    }
    // Of one that waits for input the server now asks.
    return await ask("tasks/result");
  } catch (error) {
    if (waiter.signal.reason !== undefined) ask("tasks/cancel", new Cancel()).catch(() => {});
    throw error;
  }
}
