import type { JsonObject, Lists } from "../call.ts";
import type { Report } from "../events.ts";
import { loadCompiler } from "./compile.ts";
import { sanitisers } from "./sanitise.ts";

/** An item of each list in words. */
const nouns: Readonly<Record<keyof Lists, string>> = {
  tools: "tool",
  prompts: "prompt",
  resources: "resource",
  resourceTemplates: "resource template",
};

/** What of an upstream's lists is taken. What is wrong with an item is reported once, not at each refetch. */
export function acceptLists(
  upstream: string,
  report: Report,
): <Name extends keyof Lists>(list: Name, items: Lists[Name]) => Promise<Lists[Name]> {
  const told = new Set<string>();
  const tell = (list: keyof Lists, item: JsonObject, problem: string): void => {
    const key = JSON.stringify([list, item["name"], problem]);
    if (told.has(key)) return;
    told.add(key);
    const name = typeof item["name"] === "string" ? item["name"] : "(without a name)";
    report(
      list === "tools"
        ? { type: "catalog.tool_problem", upstream, tool: name, problem }
        : { type: "upstream.problem", upstream, problem: `${nouns[list]} ${name}: ${problem}` },
    );
  };
  return async <Name extends keyof Lists>(list: Name, items: Lists[Name]) => {
    const found: readonly JsonObject[] = items;
    const compiled = found.some(({ outputSchema }) => outputSchema !== undefined);
    const compileError = compiled ? await loadCompiler() : () => undefined;
    const sanitise = sanitisers(compileError)[list];
    const accepted = found.flatMap((item) => {
      const problems: string[] = [];
      const taken = sanitise(item, "", problems);
      if (problems.length > 0) tell(list, item, problems.join("; "));
      return taken ?? [];
    });
    return accepted as unknown as Lists[Name];
  };
}
