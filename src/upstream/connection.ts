import type { Handle, JsonObject, ToolDefinition } from "../call.ts";
import type { Cancel } from "../cancel.ts";
import type { CallError } from "../errors.ts";

/** What a server says of itself when it is initialised. */
export interface ServerInfo {
  readonly name: string;
  readonly version: string;
  readonly protocolVersion: string;
  readonly capabilities: JsonObject;
  readonly instructions?: string;
}

/** A server that was initialised and can be used until it ends. */
export interface Connection {
  readonly info: ServerInfo;
  readonly handle: Handle;
  /** All its tools, from all pages. Rejects when it does not answer within `timeoutMs`. */
  listTools(timeoutMs: number): Promise<ToolDefinition[]>;
  /** Calls `listener` when the server says that its tools changed. */
  onToolsChanged(listener: () => void): void;
  /** Resolves with the reason when it has ended, for whatever reason. */
  readonly ended: Promise<CallError>;
  close(): Promise<void>;
}

/**
 * Makes a connection, within `timeoutMs` and until `abandon` is cancelled; rejects with a CallError that
 * says in words why not. An abandoned attempt leaves nothing behind.
 */
export type Connect = (timeoutMs: number, abandon: Cancel) => Promise<Connection>;

/** What a connection tells while it goes on. */
export interface ConnectionEvents {
  readonly problem: (problem: string) => void;
  readonly stderr: (line: string) => void;
}
