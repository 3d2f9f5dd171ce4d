import { createHash } from "node:crypto";

/** How exposed names are made. */
export interface NameOptions {
  /** Between prefix and tool. */
  readonly separator: string;
  /** Characters of the whole name. */
  readonly maxLength: number;
}

const forbidden = /[^A-Za-z0-9_-]/g;
const hashLength = 8;

/** Whose name it is. */
export interface Named {
  readonly upstream: string;
  readonly prefix: string;
  /** The upstream's own name of the tool. */
  readonly tool: string;
}

/** The name of a tool as clients see it, if no other tool has it. */
export function exposedName(named: Named, options: NameOptions): string {
  const { prefix, tool } = named;
  const full = prefix === "" ? tool : `${prefix}${options.separator}${tool}`;
  const clean = full.replace(forbidden, "_");
  return clean.length <= options.maxLength ? clean : hashedName(named, options);
}

/**
 * The same name cut and ended by a hash of upstream and tool, for names that are too long or taken.
 * It depends on nothing else, so it is the same in every run. A long prefix is cut first, so that
 * something of the tool's own name remains.
 */
export function hashedName({ upstream, prefix, tool }: Named, options: NameOptions): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([upstream, tool]))
    .digest("hex")
    .slice(0, hashLength);
  const room = options.maxLength - hashLength - 1;
  const prefixRoom = Math.max(room >> 1, room - options.separator.length - tool.length);
  const start = prefix === "" ? "" : `${prefix.slice(0, prefixRoom)}${options.separator}`;
  return `${`${start}${tool}`.replace(forbidden, "_").slice(0, room)}_${hash}`;
}
