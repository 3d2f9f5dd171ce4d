import type { HttpLimits } from "../../src/front/http-options.ts";

/** Limits that no test meets which does not mean to. */
export const limits: HttpLimits = {
  maxBodyBytes: 1_000_000,
  maxBatch: 100,
  maxSessions: 100,
  maxInFlight: 100,
  sessionIdleMs: 1_000_000,
  replayBytes: 1_000_000,
  maxUnreadBytes: 1_000_000_000,
  requestTimeoutMs: 1_000_000,
  keepAliveMs: 1_000_000,
};
