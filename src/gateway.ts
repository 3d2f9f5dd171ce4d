import { compose, type Caller, type Call, type Handle, type JsonObject } from "./call.ts";
import type { Progress, Result, Tool, Upstream } from "./call.ts";
import { Cancel } from "./cancel.ts";
import { buildCatalog, type Catalog, type Shelf } from "./catalog/catalog.ts";
import type { NameOptions } from "./catalog/names.ts";
import type { Middleware } from "./call.ts";
import { newTrace } from "./trace.ts";

/** An upstream, how its tools are shown, and what its calls pass through. */
export interface Entry {
  readonly upstream: Upstream;
  readonly shelf: Omit<Shelf, "upstream" | "tools">;
  /** Outermost first. */
  readonly stack: readonly Middleware[];
}

/** A request of a client, on its way in. */
export interface Request {
  readonly params: JsonObject;
  readonly caller: Caller;
  readonly signal?: Cancel;
  readonly onProgress?: (progress: Progress) => void;
}

/** The single way in: from a tool's exposed name to its upstream's handle. */
export class Gateway {
  readonly #entries: readonly Entry[];
  readonly #names: NameOptions;
  readonly #handles: ReadonlyMap<string, Handle>;
  readonly #listeners = new Set<() => void>();
  #catalog: Catalog | undefined;

  /** The order of `entries` is the order of the list, and decides who gets a name that several want. */
  constructor(entries: readonly Entry[], names: NameOptions) {
    this.#entries = entries;
    this.#names = names;
    this.#handles = new Map(
      entries.map(({ upstream, stack }) => [upstream.name, compose(stack, upstream.handle)]),
    );
    for (const { upstream } of entries)
      upstream.onChange(() => {
        this.#catalog = undefined;
        for (const listener of this.#listeners) listener();
      });
  }

  /** All tools by exposed name, as they are known now. */
  get catalog(): Catalog {
    return (this.#catalog ??= buildCatalog(
      this.#entries.map(({ upstream, shelf }) => ({
        ...shelf,
        upstream: upstream.name,
        tools: upstream.tools(),
      })),
      this.#names,
    ));
  }

  /** Calls `listener` whenever the catalog may have changed. Answers how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sends a `tools/call` through its upstream's stack. Rejects with a CallError. */
  callTool(tool: Tool, { params, caller, signal, onProgress }: Request): Promise<Result> {
    const handle = this.#handles.get(tool.upstream) as Handle;
    const { _meta, ...rest } = params;
    const meta = _meta === undefined ? undefined : withoutToken(_meta as JsonObject);
    const call: Call = {
      upstream: tool.upstream,
      method: "tools/call",
      tool,
      params: { ...rest, name: tool.remoteName },
      caller,
      signal: signal ?? new Cancel(),
      deadline: { at: Infinity, max: Infinity },
      trace: newTrace(meta),
      ...(meta !== undefined && { meta }),
      ...(onProgress !== undefined && { onProgress }),
    };
    return handle(call);
  }

  async close(): Promise<void> {
    await Promise.all(this.#entries.map(({ upstream }) => upstream.close()));
  }
}

/** The caller's progress token is meant for us; the upstream gets one of ours. */
const withoutToken = ({ progressToken: _, ...meta }: JsonObject): JsonObject => meta;
