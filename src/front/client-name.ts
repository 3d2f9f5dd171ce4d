import { isObject } from "../wire.ts";

/** Name and version of a client, from its `clientInfo`; empty where it does not say. */
export function clientName(info: unknown): string {
  if (!isObject(info)) return "";
  const { name, version } = info;
  return [name, version].filter((word) => typeof word === "string").join(" ");
}
