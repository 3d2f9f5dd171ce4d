import type { ToolDefinition } from "../call.ts";
import type { Report } from "../events.ts";
import { loadCompiler } from "./compile.ts";
import { sanitise } from "./sanitise.ts";

/** What of an upstream's tools is taken. What is wrong with a tool is reported once, not at each refetch. */
export function acceptTools(
  upstream: string,
  report: Report,
): (tools: ToolDefinition[]) => Promise<ToolDefinition[]> {
  const told = new Set<string>();
  return async (definitions) => {
    const compileError = definitions.some(({ outputSchema }) => outputSchema !== undefined)
      ? await loadCompiler()
      : () => undefined;
    return definitions.flatMap((definition) => {
      const { tool, problems } = sanitise(definition, compileError);
      const problem = problems.join("; ");
      const key = JSON.stringify([definition.name, problem]);
      if (problem !== "" && !told.has(key)) {
        told.add(key);
        report({
          type: "catalog.tool_problem",
          upstream,
          tool: typeof definition.name === "string" ? definition.name : "(without a name)",
          problem,
        });
      }
      return tool ?? [];
    });
  };
}
