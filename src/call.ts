/*
 * The whole idea in four types: a Call is plain data, a Handle answers it, a Middleware wraps a Handle,
 * and an Upstream is whatever stands at the end. Remote servers and our own tools are all Upstreams.
 */
import type { Cancel } from "./cancel.ts";

/** A JSON object as it came over the wire; what we do not know in it is passed on. */
export type JsonObject = Record<string, unknown>;

/** What is done when a tool is called again: nothing at all, the same once more, or another effect. */
export type Effect = "read" | "idempotent" | "write";

/** A tool as an MCP server lists it. Fields that we do not know are kept. */
export interface ToolDefinition extends JsonObject {
  readonly name: string;
}

/** What a server lists, as it lists it: four lists of objects. */
export interface Lists {
  readonly tools: readonly ToolDefinition[];
  /** Each has a `name`. */
  readonly prompts: readonly JsonObject[];
  /** Each has a `uri`. */
  readonly resources: readonly JsonObject[];
  /** Each has a `uriTemplate`. */
  readonly resourceTemplates: readonly JsonObject[];
}

/** A tool as clients see it, and how to reach it. */
export interface Tool {
  /** The name that clients use. */
  readonly name: string;
  readonly upstream: string;
  /** The name that the upstream uses. */
  readonly remoteName: string;
  /** What clients are shown. */
  readonly definition: ToolDefinition;
  readonly effect: Effect;
  /** Where the effect comes from, for people. */
  readonly effectSource: string;
}

/** Who calls. Budgets, audit, runs and kept results belong to a caller. */
export interface Caller {
  readonly principal: string;
  readonly session: string;
  /** Name and version of the client program, as it told them. */
  readonly client: string;
  /** Under which the client behind this call is found among the `Peers`. Default: the session. */
  readonly peer?: string;
}

/** One progress note. `progress` grows with each one. */
export interface Progress extends JsonObject {
  readonly progress: number;
}

/** When a call ends at the latest, in the time of `now()`. Shared by all the copies of one call. */
export interface Deadline {
  /** Now in force. */
  at: number;
  /** Progress moves `at`, but never past this. */
  max: number;
}

/** One request on its way to an upstream. */
export interface Call {
  readonly upstream: string;
  /** The MCP method, such as `tools/call`. */
  readonly method: string;
  readonly tool?: Tool | undefined;
  /** The request's parameters as the upstream is to get them, less `_meta`. */
  readonly params: JsonObject;
  /** The request's `_meta`, less the caller's progress token. */
  readonly meta?: JsonObject | undefined;
  readonly caller: Caller;
  readonly signal: Cancel;
  /** When it came, in the time of `now()`. Default: when it is looked at. */
  readonly begun?: number | undefined;
  readonly deadline: Deadline;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Told at each sign that the upstream is still at work on the call. */
  readonly onAlive?: (() => void) | undefined;
  /** Whether the answer must come from the upstream itself, for this call alone. */
  readonly fresh?: boolean | undefined;
  /** Follows a call through retries, steps and upstreams: 32 hex digits, a W3C trace id. */
  readonly trace: string;
}

/** The result member of a JSON-RPC answer. */
export type Result = JsonObject;

export type Handle = (call: Call) => Promise<Result>;

export type Middleware = (next: Handle) => Handle;

/** Whether a caller is meant. */
export type IsFor = (caller: Caller) => boolean;

/** What an upstream tells of itself. */
export interface Watcher {
  /** What `lists()` answers has changed. */
  changed(): void;
  /** The server sent a notification that is meant for clients: those of `isFor`, else all. */
  notified(method: string, params: JsonObject, isFor?: IsFor): void;
}

/** How long, in milliseconds, a client may take a list or a resource for fresh, and whether for all users. */
export interface Freshness {
  readonly ttlMs: number;
  readonly cacheScope: "public" | "private";
}

/** Something that has tools and answers calls. */
export interface Upstream {
  readonly name: string;
  /** What it lists, as far as it is known. */
  lists(): Lists;
  /** What it says to models about its use. */
  instructions(): string | undefined;
  /** Whether its server announced a capability, such as `logging`, `resources` or `extensions/NAME`; false where it is not known. */
  can(capability: string): boolean;
  /** How long a list of it may be taken for fresh; undefined where its server does not say. */
  freshness?(list: keyof Lists): Freshness | undefined;
  readonly handle: Handle;
  /** Sends a notification of the client of session `from`, where it is connected. */
  notify(method: string, params: JsonObject, from?: string): void;
  /** While held, no more than is under way is read from its server: who is to get it reads too slowly. */
  hold(held: boolean): void;
  /** A session has ended: what it wanted to be told, and what is its own, ends with it. */
  left?(session: string): void;
  /** Has one watcher, the last that was given. */
  watch(watcher: Watcher): void;
  /** Ends it. Calls under way fail. */
  close(): Promise<void>;
}

/** One Handle of many middlewares; the first is the outermost. */
export const compose = (middlewares: readonly Middleware[], innermost: Handle): Handle =>
  middlewares.reduceRight((next, middleware) => middleware(next), innermost);
