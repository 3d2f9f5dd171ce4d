import { pathToFileURL } from "node:url";
import { stat } from "node:fs/promises";
import type { Middleware, Result } from "./call.ts";
import { CallError, messageOf } from "./errors.ts";
import { isObject } from "./wire.ts";

/**
 * Loads a user's own middlewares: modules whose default export is a Middleware. A module that has changed
 * is loaded anew. Rejects with an Error that names the file.
 */
export const loadMiddlewares = (files: readonly string[]): Promise<Middleware[]> =>
  Promise.all(files.map(load));

async function load(file: string): Promise<Middleware> {
  const url = pathToFileURL(file);
  try {
    url.searchParams.set("changed", String((await stat(file)).mtimeMs));
    const { default: middleware } = (await import(url.href)) as { default?: unknown };
    if (typeof middleware !== "function")
      throw new Error(
        `expected a function (next) => (call) => … as its default export, got ${typeof middleware}`,
      );
    return named(file, middleware as Middleware);
  } catch (error) {
    throw new Error(`the middleware ${file} cannot be used: ${messageOf(error)}`, { cause: error });
  }
}

/** The same, but what it throws, and what it answers that is no result, is told with its name. */
const named =
  (file: string, middleware: Middleware): Middleware =>
  (next) => {
    const sent = new WeakSet<object>();
    const handle = middleware((call) => {
      sent.add(call.deadline);
      return next(call);
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
