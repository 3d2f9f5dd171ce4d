import type { z } from "zod";
import { configFile, serverEntry } from "./schema.ts";

/** Keys of the public contract that this version does not know yet, by the object that has them. */
export const laterKeys = new Map<z.ZodObject, readonly string[]>([
  [configFile, ["inline", "exposure", "pinned", "chains", "sagas", "stores", "http", "metrics"]],
  [serverEntry, ["oauth", "auth", "pin"]],
]);
