import type { OwnTool } from "./own-tools.ts";
import type { Caller, JsonObject } from "../call.ts";

const text = { type: "string" };
const number = { type: "number" };
const object = { type: "object" };

/** `status`: the state of every upstream, and what is wrong. */
export const statusTool = (status: (caller: Caller) => Promise<JsonObject>): OwnTool => ({
  definition: {
    name: "status",
    title: "Status of Holdfast",
    description:
      "Shows which MCP servers are connected through Holdfast, what is wrong with those that are not, and how their calls went: circuits, queues, caches, counts, latencies, costs, alerts. Use it when a tool is missing or fails.",
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
              circuits: {
                type: "array",
                items: {
                  type: "object",
                  properties: {
                    tool: text,
                    state: { enum: ["closed", "open", "half-open"] },
                    retryAfterMs: number,
                  },
                  required: ["state"],
                },
              },
              active: number,
              waiting: {
                type: "object",
                properties: { rateLimit: number, bulkhead: number },
                required: ["rateLimit", "bulkhead"],
              },
              cache: object,
              figures: object,
            },
            required: ["name", "state", "tools", "losses"],
          },
        },
        memory: object,
        own: object,
        budgets: { type: "array", items: object },
        events: object,
        problems: { type: "array", items: text },
        alerts: { type: "array", items: text },
      },
      required: ["version", "uptimeMs", "upstreams", "problems", "alerts"],
    },
    annotations: { readOnlyHint: true, openWorldHint: false },
  },
  run: ({ caller }) => status(caller),
});
