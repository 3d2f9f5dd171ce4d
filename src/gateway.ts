import type { Call, Caller, Deadline, Handle, IsFor, JsonObject, Middleware } from "./call.ts";
import { compose, type Progress, type Result, type Tool, type Upstream } from "./call.ts";
import { Cancel } from "./cancel.ts";
import { buildCatalog, exposeTool, isShown, type Catalog, type Shelf } from "./catalog/catalog.ts";
import type { NameOptions } from "./catalog/names.ts";
import { asCallError, CallError } from "./errors.ts";
import { now } from "./time.ts";
import { newTrace } from "./trace.ts";

/** An upstream, how what it lists is shown, and what its calls pass through. */
export interface Entry {
  readonly upstream: Upstream;
  readonly shelf: Shelf;
  /** Outermost first. */
  readonly stack: readonly Middleware[];
  /** Whether what it lists depends on what others list. Default false. */
  readonly isDerived?: boolean;
  /** Whether its calls can be expected to go through now. Where it is not given, they can. */
  readonly isAvailable?: () => boolean;
}

/** A request of a client, on its way to one upstream. */
export interface Request {
  readonly upstream: string;
  /** The MCP method. */
  readonly method: string;
  /** With names and URIs as the upstream knows them; `_meta` included. */
  readonly params: JsonObject;
  readonly tool?: Tool | undefined;
  readonly caller: Caller;
  readonly signal: Cancel;
  /** When it came, in the time of `now()`. Default: now. */
  readonly begun?: number | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Where the call is part of another, which has to end by then. */
  readonly deadline?: Deadline | undefined;
  readonly fresh?: boolean | undefined;
}

/** What the gateway tells those who serve its clients. */
export interface GatewayWatcher {
  /** The catalog may have changed. */
  changed(): void;
  /** A server sent a notification that is meant for clients: those of `isFor`, else all. */
  notified(upstream: string, method: string, params: JsonObject, isFor?: IsFor): void;
}

/** Exposed names of tools that can stand for each other. */
export type Group = readonly string[];

interface Door extends Entry {
  readonly handle: Handle;
}

/** The single way in: from names to the upstreams behind their stacks. */
export class Gateway {
  #names: NameOptions;
  #groups: readonly Group[] = [];
  readonly #watchers = new Set<GatewayWatcher>();
  #doors: ReadonlyMap<string, Door> = new Map();
  #catalog: Catalog | undefined;
  #basis: Catalog | undefined;

  constructor(names: NameOptions) {
    this.#names = names;
  }

  /**
   * Puts these in place of all entries. Their order is the order of the lists, and decides who gets a name
   * that several want. An entry that was there before stays as it is; those that are gone are not closed.
   */
  use(entries: readonly Entry[], names: NameOptions, groups: readonly Group[] = []): void {
    const doors = new Map(
      entries.map((entry) => {
        const { upstream, stack } = entry;
        const old = this.#doors.get(upstream.name);
        const handle = old?.stack === stack ? old.handle : compose(stack, upstream.handle);
        upstream.watch({
          changed: () => this.#changed(),
          notified: (method, params, isFor) => {
            for (const watcher of this.#watchers)
              watcher.notified(upstream.name, method, params, isFor);
          },
        });
        return [upstream.name, { ...entry, handle }];
      }),
    );
    this.#names = names;
    this.#groups = groups;
    this.#doors = doors;
    this.#changed();
  }

  /** Everything that clients can list, as it is known now. */
  get catalog(): Catalog {
    return (this.#catalog ??= this.#catalogOf(() => true));
  }

  /** The same without what is made of other tools, so that what is made of them can look at it. */
  get basis(): Catalog {
    return (this.#basis ??= this.#catalogOf(({ isDerived }) => isDerived !== true));
  }

  /** In config order. */
  get upstreams(): readonly Upstream[] {
    return [...this.#doors.values()].map(({ upstream }) => upstream);
  }

  /**
   * The tool of that exposed name, or of that name in a server's own user interface. Also one that its server does not list but may know: by the longest prefix
   * that fits, and where it is not known yet what that server has, only when `late`: no more can be waited for.
   */
  findTool(name: string, late: boolean): Tool | undefined {
    const { tools, appTools } = this.catalog;
    return tools.get(name) ?? appTools.get(name) ?? this.#guessTool(name, late);
  }

  #guessTool(name: string, late: boolean): Tool | undefined {
    const { separator } = this.#names;
    let found: Door | undefined;
    for (const door of this.#doors.values()) {
      const { prefix } = door.shelf;
      const start = `${prefix}${separator}`;
      if (prefix === "" || name === start || !name.startsWith(start)) continue;
      if (found === undefined || prefix.length > found.shelf.prefix.length) found = door;
    }
    if (found === undefined) return undefined;
    const { upstream, shelf } = found;
    const own = name.slice(shelf.prefix.length + separator.length);
    const isKnown = late || upstream.can("tools");
    const isListed = upstream.lists().tools.some((tool) => tool.name === own);
    if (!isKnown || isListed || !isShown(shelf, own)) return undefined;
    return exposeTool(upstream.name, shelf, { name: own }, name);
  }

  /**
   * Listed tools of other servers that may do what this one does: those of its groups, and of a tool that only
   * reads also those of its name. Only what can be expected to work now.
   */
  alternatives({ name, upstream, remoteName, effect }: Tool): string[] {
    const grouped = this.#groups.filter((group) => group.includes(name)).flat();
    const isAlike = (other: Tool): boolean =>
      grouped.includes(other.name) ||
      (effect === "read" && other.effect === "read" && other.remoteName === remoteName);
    return [...this.catalog.tools.values()]
      .filter((other) => other.upstream !== upstream && isAlike(other))
      .filter((other) => this.#doors.get(other.upstream)?.isAvailable?.() !== false)
      .map((other) => other.name);
  }

  /** Calls `watcher` from now on. Answers how to stop that. */
  watch(watcher: GatewayWatcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Sends a request through the stack of its upstream. Rejects with a CallError. */
  send(request: Request): Promise<Result> {
    const { upstream, params } = request;
    const hasMeta = params["_meta"] !== undefined;
    const meta = hasMeta ? withoutToken(params["_meta"] as JsonObject) : undefined;
    // Every call has all its members, in one order: the engine then handles them all alike, and fast.
    const call: Call = {
      upstream,
      method: request.method,
      tool: request.tool,
      params: hasMeta ? withoutMeta(params) : params,
      meta,
      caller: request.caller,
      signal: request.signal,
      begun: request.begun ?? now(),
      deadline: request.deadline ?? { at: Infinity, max: Infinity },
      onProgress: request.onProgress,
      onAlive: undefined,
      fresh: request.fresh,
      trace: newTrace(meta),
    };
    const door = this.#doors.get(upstream);
    if (door !== undefined) return handled(door.handle, call);
    const gone = `${upstream} is not available: config has it no more`;
    return Promise.reject(new CallError("unavailable", gone, { outcome: "failed", upstream }));
  }

  /** `tools/call` of a tool, with the arguments and `_meta` of `params`. */
  callTool(
    tool: Tool,
    params: JsonObject,
    from: Pick<Request, "caller" | "signal" | "onProgress" | "deadline" | "fresh">,
  ): Promise<Result> {
    const { upstream, remoteName } = tool;
    return this.send({
      ...from,
      upstream,
      method: "tools/call",
      tool,
      params: { ...params, name: remoteName },
    });
  }

  /** Sends a notification of the client of session `from` to one server, where it is connected. */
  notify(upstream: string, method: string, params: JsonObject, from: string): void {
    this.#doors.get(upstream)?.upstream.notify(method, params, from);
  }

  /** The same to all servers. */
  notifyAll(method: string, params: JsonObject, from: string): void {
    for (const { upstream } of this.#doors.values()) upstream.notify(method, params, from);
  }

  /** While held, nothing more is read from any server: the one client reads too slowly. */
  hold(held: boolean): void {
    for (const { upstream } of this.#doors.values()) upstream.hold(held);
  }

  /** A session has ended: nothing is kept for it any more. */
  left(session: string): void {
    for (const { upstream } of this.#doors.values()) upstream.left?.(session);
  }

  async close(): Promise<void> {
    await Promise.all(this.upstreams.map((upstream) => upstream.close()));
  }

  #catalogOf(isIn: (door: Door) => boolean): Catalog {
    const stocks = [...this.#doors.values()]
      .filter(isIn)
      .map(({ upstream, shelf }) => ({ upstream: upstream.name, shelf, lists: upstream.lists() }));
    return buildCatalog(stocks, this.#names);
  }

  #changed(): void {
    this.#catalog = this.#basis = undefined;
    for (const watcher of this.#watchers) watcher.changed();
  }
}

/** What a handle throws at once is a rejection like any other. */
function handled(handle: Handle, call: Call): Promise<Result> {
  try {
    return handle(call);
  } catch (error) {
    return Promise.reject(asCallError(error, call.upstream));
  }
}

const withoutMeta = ({ _meta: _, ...params }: JsonObject): JsonObject => params;

/** The caller's progress token is meant for us; the upstream gets one of ours. */
const withoutToken = ({ progressToken: _, ...meta }: JsonObject): JsonObject => meta;
