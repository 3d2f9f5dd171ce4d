/*
 * The thread in which runs are kept, so that nothing else waits for a database.
 */
import { parentPort, workerData } from "node:worker_threads";
import { EngineRunStore } from "./engine-run-store.ts";
import { sent, type Request, type Response, type ThreadData } from "./messages.ts";
import { databaseAt } from "./place.ts";

const { place, token, leaseMs } = workerData as ThreadData;
const store = databaseAt(place).then((database) => new EngineRunStore(database, token, leaseMs));

async function answer({ id, method, args }: Request): Promise<Response> {
  try {
    const opened = await store;
    const call = opened[method].bind(opened) as (...args: readonly unknown[]) => Promise<unknown>;
    return { id, value: await call(...args) };
  } catch (error) {
    return { id, error: sent(error) };
  }
}

parentPort?.on("message", (request: Request) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- no window
  void answer(request).then((response) => parentPort?.postMessage(response));
});
