import type { Caller, Freshness, Handle, JsonObject, Lists, Result } from "../call.ts";
import type { Cancel } from "../cancel.ts";
import type { CallError } from "../errors.ts";
import { isObject } from "../wire.ts";
import type { Listener } from "./notifications.ts";

/** What a server says of itself when it is initialised. */
export interface ServerInfo {
  readonly name: string;
  readonly version: string;
  readonly protocolVersion: string;
  readonly capabilities: JsonObject;
  readonly instructions?: string;
  /** Whether it speaks the newer era, though it was initialised in the older one. Default: false. */
  readonly isModernToo?: boolean;
}

/** What a server says of itself, from its name and version, and from the answer that has the rest. */
export function serverInfo(protocolVersion: string, self: unknown, answer: Result): ServerInfo {
  const { name, version } = isObject(self) ? self : {};
  const { capabilities, instructions } = answer;
  return {
    name: typeof name === "string" ? name : "",
    version: typeof version === "string" ? version : "",
    protocolVersion,
    capabilities: isObject(capabilities) ? capabilities : {},
    ...(typeof instructions === "string" && { instructions }),
  };
}

/** The four lists, by their members in `Lists`. */
export type ListName = keyof Lists;

/** What an initialised server can do besides calls. */
export interface Session {
  readonly info: ServerInfo;
  /**
   * One list, from all its pages; empty where the server did not announce it. Rejects when it does not
   * answer within `timeoutMs`.
   */
  list<Name extends ListName>(name: Name, timeoutMs: number): Promise<Lists[Name]>;
  /** How long a list may be taken for fresh; undefined where its server does not say. Default: it does not. */
  freshness?(list: ListName): Freshness | undefined;
  /** Rejects where the server does not answer at all within `timeoutMs`. */
  ping(timeoutMs: number): Promise<void>;
  /** A request outside of any call; rejects with the server's error, or when `timeoutMs` pass. */
  request(method: string, params: JsonObject, timeoutMs: number): Promise<JsonObject>;
  notify(method: string, params: JsonObject): void;
  /** Calls `listener` for each notification that is no answer to a call, and first for those that came before. */
  onNotification(listener: Listener): void;
}

/** A server that was initialised and can be used until it ends. */
export interface Connection extends Session {
  readonly handle: Handle;
  /** While held, nothing is read from the server, where that can be done. */
  hold(held: boolean): void;
  /** How many calls wait for their answer. */
  inFlight(): number;
  /** Who waits for them. */
  callers(): Iterable<Caller>;
  /** Resolves with the reason when it has ended, for whatever reason. */
  readonly ended: Promise<CallError>;
  close(): Promise<void>;
}

/**
 * Makes a connection, within `timeoutMs` and until `abandon` is cancelled; rejects with a CallError that
 * says in words why not. An abandoned attempt leaves nothing behind. `known` is what the server was before.
 */
export type Connect = (
  timeoutMs: number,
  abandon: Cancel,
  known?: ServerInfo,
) => Promise<Connection>;

/** What a connection tells while it goes on. */
export interface ConnectionEvents {
  readonly problem: (problem: string) => void;
  readonly stderr: (line: string) => void;
}
