import type { Call, JsonObject, Lists, Result, ToolDefinition, Upstream } from "../call.ts";
import { CallError } from "../errors.ts";

/** One of Holdfast's own tools. Its answer is structured content. */
export interface OwnTool {
  readonly definition: ToolDefinition;
  readonly run: (call: Call) => JsonObject | Promise<JsonObject>;
}

/** The prefix of Holdfast's own tools, and the name of their upstream. */
export const ownName = "holdfast";

/** Holdfast's own tools, behind the same door as all others. */
export class OwnTools implements Upstream {
  readonly name = ownName;
  readonly #tools: ReadonlyMap<string, OwnTool>;

  constructor(tools: readonly OwnTool[]) {
    this.#tools = new Map(tools.map((tool) => [tool.definition.name, tool]));
  }

  lists(): Lists {
    const tools = [...this.#tools.values()].map(({ definition }) => definition);
    return { tools, prompts: [], resources: [], resourceTemplates: [] };
  }

  instructions(): undefined {}

  can(capability: string): boolean {
    return capability === "tools";
  }

  readonly handle = async (call: Call): Promise<Result> => {
    const name = String(call.params["name"]);
    const tool = this.#tools.get(name);
    if (tool === undefined) throw unknownTool(name);
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

  watch(): void {
    // They are the same for as long as Holdfast runs.
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function unknownTool(name: string): CallError {
  const message = `Unknown tool: ${name}`;
  return new CallError("upstream_error", message, {
    outcome: "answered",
    upstream: ownName,
    rpc: { code: -32602, message },
  });
}
