import type { JsonObject } from "./call.ts";

/** The levels of MCP's log messages, from the one with which a server says most. */
export const logLevels: readonly unknown[] = [
  "debug",
  "info",
  "notice",
  "warning",
  "error",
  "critical",
  "alert",
  "emergency",
];

/** Whether a message of one level is wanted by who asked for another. Where either is not known, it is. */
export const isWanted = (level: unknown, asked: unknown): boolean =>
  !logLevels.includes(level) || logLevels.indexOf(level) >= logLevels.indexOf(asked);

/** A log message as clients get it: under its server's name. */
export function underName(upstream: string, message: JsonObject): JsonObject {
  const { logger } = message;
  return { ...message, logger: typeof logger === "string" ? `${upstream}/${logger}` : upstream };
}
