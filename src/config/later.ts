import type { z } from "zod";
import { configFile, policies, serverEntry, toolOverride } from "./schema.ts";

/** Keys of the public contract that this version does not know yet, by the object that has them. */
export const laterKeys = new Map<z.ZodObject, readonly string[]>([
  [
    configFile,
    [
      "middleware",
      "inline",
      "exposure",
      "pinned",
      "groups",
      "chains",
      "sagas",
      "events",
      "stores",
      "http",
      "metrics",
    ],
  ],
  [serverEntry, ["oauth", "auth", "pin"]],
  [toolOverride, ["costUsd", "invalidates", "verify", "supersede"]],
  [
    policies,
    [
      "retry",
      "circuitBreaker",
      "rateLimit",
      "bulkhead",
      "cache",
      "coalesce",
      "hedge",
      "budget",
      "result",
    ],
  ],
]);
