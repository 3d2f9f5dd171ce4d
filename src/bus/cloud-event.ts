import { randomBytes } from "node:crypto";
import type { Caller, JsonObject } from "../call.ts";
import { isObject } from "../wire.ts";

/** An event as https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md has it. */
export interface CloudEvent extends JsonObject {
  readonly specversion: "1.0";
  /** No other event of the source has it. */
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** The tool or server that it is about. */
  readonly subject?: string;
  /** ISO 8601. */
  readonly time: string;
  readonly datacontenttype: "application/json";
  /** The trace that it belongs to: 32 hex digits. */
  readonly trace?: string;
  readonly data: unknown;
}

/** An event on its way to those who want it. */
export interface Notice {
  readonly event: CloudEvent;
  /** The principal that it belongs to; undefined where it concerns all. */
  readonly owner: string | undefined;
  /** How many events led to it, one to the next. */
  readonly depth: number;
  /** About how much room it takes. */
  readonly bytes: number;
}

/** Ends a chain of events that cause events. */
export const deepest = 8;

/** Types that begin like this are the gateway's own. */
const reserved = new Set([
  "call",
  "cache",
  "circuit",
  "budget",
  "upstream",
  "catalog",
  "config",
  "gateway",
  "group",
  "run",
  "event",
]);

const instance = randomBytes(6).toString("hex");
const gatewaySource = `holdfast/gateway/${instance}`;
const users = "holdfast/users/";

/** Whether only the gateway itself tells events of that type. */
export const isReserved = (type: string): boolean => reserved.has(type.split(".", 1)[0] ?? "");

/** The id of an event by its number, from 1. */
const idOf = (number: number): string => `${instance}-${number}`;

/** An event of the gateway's own. `at` is milliseconds since 1970. */
export const gatewayCloudEvent = (
  number: number,
  at: number,
  type: string,
  { subject, trace, data }: Pick<CloudEvent, "data"> & Partial<Record<"subject" | "trace", string>>,
): CloudEvent => ({
  specversion: "1.0",
  id: idOf(number),
  source: gatewaySource,
  type,
  ...(subject !== undefined && { subject }),
  time: new Date(at).toISOString(),
  datacontenttype: "application/json",
  ...(trace !== undefined && { trace }),
  data,
});

/** An event that somebody has published. */
export const userCloudEvent = (
  number: number,
  type: string,
  data: unknown,
  { principal }: Caller,
  trace: string,
): CloudEvent => ({
  specversion: "1.0",
  id: idOf(number),
  source: users + encodeURIComponent(principal),
  type,
  time: new Date().toISOString(),
  datacontenttype: "application/json",
  trace,
  data,
});

/** The principal that an event belongs to, as it is written down; undefined where it concerns all. */
export function ownerOf({ source, data }: CloudEvent): string | undefined {
  if (source.startsWith(users)) return decodeURIComponent(source.slice(users.length));
  const caller = isObject(data) ? data["caller"] : undefined;
  const principal = isObject(caller) ? caller["principal"] : undefined;
  return typeof principal === "string" ? principal : undefined;
}

/** Whether a value from outside is an event that we wrote. */
export const isCloudEvent = (value: unknown): value is CloudEvent =>
  isObject(value) &&
  value["specversion"] === "1.0" &&
  typeof value["type"] === "string" &&
  typeof value["source"] === "string" &&
  typeof value["time"] === "string";

const session = "events";

/** The session of calls that an event of that depth has caused; it goes with all that they cause in turn. */
export const sessionAfter = (depth: number): string =>
  depth === 0 ? session : `${session}/${depth + 1}`;

/** How many events led to what a caller does. */
export function depthOf(caller: Caller): number {
  if (caller.session === session) return 1;
  if (!caller.session.startsWith(`${session}/`)) return 0;
  return Number(caller.session.slice(session.length + 1)) || 1;
}
