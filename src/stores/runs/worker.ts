/*
 * The thread in which runs are kept, so that nothing else waits for a database.
 */
import { parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../../errors.ts";
import { EngineRunStore } from "./engine-run-store.ts";
import type { Request, Response, ThreadData } from "./messages.ts";
import { databaseAt } from "./place.ts";

const { place, token, leaseMs } = workerData as ThreadData;
const store = databaseAt(place).then((database) => new EngineRunStore(database, token, leaseMs));

async function answer({ id, method, args }: Request): Promise<Response> {
  try {
    const opened = await store;
    const call = opened[method].bind(opened) as (...args: readonly unknown[]) => Promise<unknown>;
    return { id, value: await call(...args) };
  } catch (error) {
    return {
      id,
      error: { name: error instanceof Error ? error.name : "", message: messageOf(error) },
    };
  }
}

parentPort?.on("message", (request: Request) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- no window
  void answer(request).then((response) => parentPort?.postMessage(response));
});
