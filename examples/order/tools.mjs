// What the tools of the four servers have in common.
import process from "node:process";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import * as z from "zod";

const closed = { openWorldHint: false };

/** Changes nothing. */
export const reads = { ...closed, readOnlyHint: true };

/** Makes something new with each call. */
export const creates = { ...closed, readOnlyHint: false, destructiveHint: false };

/** Changes what is there; the same call again does no more. */
export const changes = { ...closed, readOnlyHint: false, idempotentHint: true };

export const items = z.array(z.object({ sku: z.string().min(1), quantity: z.int().min(1) })).min(1);

export const key = z
  .string()
  .min(1)
  .optional()
  .describe("Names the request, to find what came of it.");

export const answer = (value) => ({
  content: [{ type: "text", text: JSON.stringify(value) }],
  structuredContent: value,
});

export async function serve(server) {
  // A client that is gone before it is answered ends no effect that is under way.
  process.stdout.on("error", () => {});
  await server.connect(new StdioServerTransport());
}
