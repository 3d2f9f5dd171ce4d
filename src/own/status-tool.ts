import type { OwnTool } from "./own-tools.ts";
import type { JsonObject } from "../call.ts";

const text = { type: "string" };
const number = { type: "number" };

/** `status`: the state of every upstream, and what is wrong. */
export const statusTool = (status: () => JsonObject): OwnTool => ({
  definition: {
    name: "status",
    title: "Status of Holdfast",
    description:
      "Shows which MCP servers are connected through Holdfast, how many tools each has, and what is wrong with those that are not. Use it when a tool is missing or fails as unavailable.",
    inputSchema: { type: "object", properties: {}, additionalProperties: false },
    outputSchema: {
      type: "object",
      properties: {
        version: text,
        uptimeMs: number,
        upstreams: {
          type: "array",
          items: {
            type: "object",
            properties: {
              name: text,
              state: { enum: ["idle", "connecting", "ready", "lost", "disabled"] },
              problem: text,
              server: text,
              tools: number,
              connectMs: number,
              losses: number,
              nextTryMs: number,
            },
            required: ["name", "state", "tools", "losses"],
          },
        },
        problems: { type: "array", items: text },
      },
      required: ["version", "uptimeMs", "upstreams", "problems"],
    },
    annotations: { readOnlyHint: true, openWorldHint: false },
  },
  run: status,
});
