import { pathToFileURL } from "node:url";
import { stat } from "node:fs/promises";
import type { Handle, Middleware, Result } from "./call.ts";
import { ConfigError } from "./config/problems.ts";
import { CallError, messageOf } from "./errors.ts";
import { now } from "./time.ts";
import { isObject } from "./wire.ts";

/**
 * Loads a user's own middlewares: modules whose default export is a Middleware. A module that has changed
 * is loaded anew. Rejects with a ConfigError that names the file.
 */
export const loadMiddlewares = (files: readonly string[]): Promise<Middleware[]> =>
  Promise.all(files.map(load));

/** By address with the time of its last change: the same function for the same module. */
const loaded = new Map<string, Middleware>();

async function load(file: string): Promise<Middleware> {
  const url = pathToFileURL(file);
  try {
    url.searchParams.set("changed", String((await stat(file)).mtimeMs));
    const before = loaded.get(url.href);
    if (before !== undefined) return before;
    const { default: middleware } = (await import(url.href)) as { default?: unknown };
    if (typeof middleware !== "function")
      throw new Error(
        `expected a function (next) => (call) => … as its default export, got ${typeof middleware}`,
      );
    const ready = named(file, middleware as Middleware);
    loaded.set(url.href, ready);
    return ready;
  } catch (error) {
    throw unusable(file, error);
  }
}

const unusable = (file: string, error: unknown): ConfigError =>
  new ConfigError(file, [
    { path: "", message: `this middleware cannot be used: ${messageOf(error)}` },
  ]);

/** The same, but what it throws, and what it answers that is no result, is told with its name. */
const named =
  (file: string, middleware: Middleware): Middleware =>
  (next) => {
    const sent = new WeakSet<object>();
    const handle = composed(file, middleware, (call) => {
      sent.add(call.deadline);
      // What it took before, such as to ask a person, is none of the call's own time.
      return next({ ...call, begun: now() }).then(
        // The middleware may change it in place, and the cache or another call may have the same.
        (result) => structuredClone(result),
      );
    });
    return async (call) => {
      const failed = (what: string, cause?: unknown): CallError =>
        new CallError("denied", `the middleware ${file} ${what}`, {
          outcome: sent.has(call.deadline) ? "unknown" : "failed",
          local: true,
          upstream: call.upstream,
          cause,
        });
      let result: Result;
      try {
        result = await handle(call);
      } catch (error) {
        if (error instanceof CallError) throw error;
        throw failed(`failed: ${messageOf(error)}`, error);
      }
      if (!isObject(result))
        throw failed(`answered ${JSON.stringify(result)}, expected a result object`);
      return result;
    };
  };

function composed(file: string, middleware: Middleware, next: Handle): Handle {
  try {
    const handle: unknown = middleware(next);
    if (typeof handle === "function") return handle as Handle;
    throw new Error(`expected it to answer a function (call) => …, got ${typeof handle}`);
  } catch (error) {
    throw unusable(file, error);
  }
}
