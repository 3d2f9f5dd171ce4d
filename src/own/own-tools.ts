import type { Call, Freshness, Handle, JsonObject, Lists, Result } from "../call.ts";
import type { ToolDefinition, Upstream, Watcher } from "../call.ts";
import { CallError } from "../errors.ts";

/** One of Holdfast's own tools. It gives its answer as structured content (`run`), or as a whole result. */
export type OwnTool = {
  /** A function where it depends on what other tools there are. */
  readonly definition: ToolDefinition | (() => ToolDefinition);
} & (
  | { readonly run: (call: Call) => JsonObject | Promise<JsonObject> }
  | { readonly answer: Handle }
);

/** Reads Holdfast's own resources. Resolves with undefined where there is none of that URI. */
export type ReadResource = (call: Call) => Promise<Result | undefined>;

/** Holdfast's own resources that are listed and can be subscribed to. */
export interface ListedResources {
  lists(): Pick<Lists, "resources" | "resourceTemplates">;
  watch(watcher: Watcher): void;
  /** A session has ended. */
  left(session: string): void;
  /** The answer to `resources/read`, `subscribe` or `unsubscribe`; undefined where the URI is none of theirs. */
  answer(call: Call): Result | undefined;
}

/** The prefix of Holdfast's own tools, and the name of their upstream. */
export const ownName = "holdfast";

/** Its tools change with its config alone. */
const lasting: Freshness = { ttlMs: 60_000, cacheScope: "public" };

/** Holdfast's own tools, behind the same door as all others. */
export class OwnTools implements Upstream {
  readonly name = ownName;
  readonly #tools: ReadonlyMap<string, OwnTool>;
  readonly #read: ReadResource;
  readonly #listed: ListedResources | undefined;

  /** Tools by their names in the lists. */
  constructor(tools: ReadonlyMap<string, OwnTool>, read: ReadResource, listed?: ListedResources) {
    this.#tools = tools;
    this.#read = read;
    this.#listed = listed;
  }

  lists(): Lists {
    const tools = [...this.#tools.values()].map(({ definition }) =>
      typeof definition === "function" ? definition() : definition,
    );
    const { resources = [], resourceTemplates = [] } = this.#listed?.lists() ?? {};
    return { tools, prompts: [], resources, resourceTemplates };
  }

  instructions(): undefined {}

  freshness(list: keyof Lists): Freshness | undefined {
    return list === "tools" ? lasting : undefined;
  }

  can(capability: string): boolean {
    return capability === "tools" || capability === "resources";
  }

  readonly handle = async (call: Call): Promise<Result> => {
    if (call.method.startsWith("resources/")) return this.#resource(call);
    const name = String(call.params["name"]);
    const tool = this.#tools.get(name);
    if (tool === undefined) throw unknownTool(name);
    if ("answer" in tool) return tool.answer(call);
    const structuredContent = await tool.run(call);
    return {
      content: [{ type: "text", text: JSON.stringify(structuredContent, undefined, 2) }],
      structuredContent,
    };
  };

  notify(): void {
    // Nothing that a client may tell concerns them.
  }

  hold(): void {
    // What they answer is small.
  }

  watch(watcher: Watcher): void {
    // The tools are the same for as long as Holdfast runs.
    this.#listed?.watch(watcher);
  }

  left(session: string): void {
    this.#listed?.left(session);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #resource(call: Call): Promise<Result> {
    const isRead = call.method === "resources/read";
    const found = this.#listed?.answer(call) ?? (isRead ? await this.#read(call) : undefined);
    if (found === undefined)
      throw refusal(-32002, `Resource not found: ${String(call.params["uri"])}`);
    return found;
  }
}

/** The error of a call of a tool that is not there. */
export const unknownTool = (name: string): CallError => refusal(-32602, `Unknown tool: ${name}`);

function refusal(code: number, message: string): CallError {
  return new CallError("upstream_error", message, {
    outcome: "answered",
    upstream: ownName,
    rpc: { code, message },
  });
}
