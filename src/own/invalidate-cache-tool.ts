import * as z from "zod";
import type { Invalidation } from "../stores/store.ts";
import type { OwnTool } from "./own-tools.ts";
import { argumentsOf, refused } from "./arguments.ts";

const args = z.strictObject({
  tool: z.string().optional(),
  upstream: z.string().optional(),
  pattern: z.string().optional(),
  all: z.boolean().optional(),
});

const text = { type: "string" };

/** `invalidate_cache`: forgets answers that were kept. */
export const invalidateCacheTool = (
  invalidate: (what: Invalidation) => Promise<number>,
): OwnTool => ({
  definition: {
    name: "invalidate_cache",
    title: "Forget kept answers",
    description:
      "Forgets answers of tools that Holdfast keeps, so that the next call asks the server. Use it when an answer is out of date.",
    inputSchema: {
      type: "object",
      properties: {
        tool: { ...text, description: "Name of one tool." },
        upstream: { ...text, description: "Name of a server: all of its tools." },
        pattern: { ...text, description: 'Names of tools; "*" stands for any text.' },
        all: { type: "boolean", description: "Everything." },
      },
      additionalProperties: false,
    },
    outputSchema: {
      type: "object",
      properties: { removed: { type: "integer" } },
      required: ["removed"],
    },
    annotations: {
      readOnlyHint: false,
      destructiveHint: false,
      idempotentHint: true,
      openWorldHint: false,
    },
  },
  run: async (call) => {
    const { tool, upstream, pattern, all } = argumentsOf(call, args);
    const asked: Invalidation[] = [
      ...(tool === undefined ? [] : [{ tools: [tool] }]),
      ...(upstream === undefined ? [] : [{ upstream }]),
      ...(pattern === undefined ? [] : [{ tools: [pattern] }]),
      ...(all === true ? ["all" as const] : []),
    ];
    const [what] = asked;
    if (what === undefined || asked.length > 1)
      throw refused(
        `arguments: expected one of tool, upstream, pattern and "all": true, got ${asked.length} of them`,
      );
    return { removed: await invalidate(what) };
  },
});
