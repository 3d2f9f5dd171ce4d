import type { Call } from "../call.ts";
import { every } from "../time.ts";

/** Milliseconds between two signs of life: less than any sensible time limit of an attempt. */
const interval = 200;

/** Gives a sign of life now, while `wait` lasts, and when it has ended, so that those who wait for a person do not time out. */
export function aliveDuring<Value>(onAlive: () => void, wait: Promise<Value>): Promise<Value> {
  onAlive();
  const signs = every(interval, onAlive);
  return wait.finally(() => {
    signs.clear();
    onAlive();
  });
}

/** The same for one call. */
export const keptAlive = <Value>(call: Call, wait: Promise<Value>): Promise<Value> =>
  call.onAlive === undefined ? wait : aliveDuring(call.onAlive, wait);
