import * as z from "zod";
import { showValue } from "../config/problems.ts";
import type { KeptResults } from "../results/kept-results.ts";
import { argumentsOf, refused } from "./arguments.ts";
import type { OwnTool } from "./own-tools.ts";

const schema = z.strictObject({ id: z.string(), page: z.int().min(1).default(1) });

/** `read_result`: the pages of a result that was too large to be given at once. */
export const readResultTool = (results: Pick<KeptResults, "page">): OwnTool => ({
  definition: {
    name: "read_result",
    title: "Read on in a large result",
    description:
      "Reads one page of a tool's result that was too large to be given at once. Such a result says its id and how many pages there are.",
    inputSchema: {
      type: "object",
      properties: {
        id: { type: "string", description: "The id that the result gave." },
        page: { type: "integer", minimum: 1, default: 1, description: "The first page is 1." },
      },
      required: ["id"],
      additionalProperties: false,
    },
    outputSchema: {
      type: "object",
      properties: {
        id: { type: "string" },
        page: { type: "integer" },
        pages: { type: "integer" },
        text: { type: "string" },
      },
      required: ["id", "page", "pages", "text"],
    },
    annotations: { readOnlyHint: true, openWorldHint: false },
  },
  run: async (call) => {
    const { id, page } = argumentsOf(call, schema);
    const found = await results.page(id, page, call.caller);
    if (found === undefined)
      throw refused(`there is no result ${showValue(id, [])} of yours, or it has expired`);
    if (!("text" in found))
      throw refused(`arguments.page: expected 1 to ${found.pages}, got ${page}`);
    return { ...found };
  },
});
