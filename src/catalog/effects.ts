import type { Effect, JsonObject } from "../call.ts";

/** An effect, and where it comes from in words. */
export interface EffectOf {
  readonly effect: Effect;
  readonly source: string;
}

/**
 * What a call of a tool may do: what config says, else what its annotations say, else the worst.
 * Hints default as in the MCP specification: not read-only, not idempotent. The annotations of a server that
 * config does not trust do not count; those that config itself gives (`own`) always do.
 */
export function effectOf(
  configured: Effect | undefined,
  server: JsonObject | undefined,
  own: JsonObject | undefined,
  trusted: boolean,
): EffectOf {
  if (configured !== undefined) return { effect: configured, source: "config" };
  const hints = { ...(trusted && server), ...own };
  for (const [hint, effect] of [
    ["readOnlyHint", "read"],
    ["idempotentHint", "idempotent"],
  ] as const) {
    if (hints[hint] !== true) continue;
    const where = own?.[hint] === true ? "config annotation" : "annotation";
    return { effect, source: `${where} ${hint}: true` };
  }
  if (!trusted) return { effect: "write", source: "default: the server is not trusted" };
  if (server === undefined) return { effect: "write", source: "default: no annotations" };
  return { effect: "write", source: "default: annotated as neither read-only nor idempotent" };
}
