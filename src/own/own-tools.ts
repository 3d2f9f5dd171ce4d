import type { Call, JsonObject, Result, ToolDefinition, Upstream } from "../call.ts";

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

  tools(): readonly ToolDefinition[] {
    return [...this.#tools.values()].map(({ definition }) => definition);
  }

  readonly handle = async (call: Call): Promise<Result> => {
    const tool = this.#tools.get(String(call.params["name"])) as OwnTool;
    const structuredContent = await tool.run(call);
    return {
      content: [{ type: "text", text: JSON.stringify(structuredContent, undefined, 2) }],
      structuredContent,
    };
  };

  onChange(): void {
    // They are the same for as long as Holdfast runs.
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
