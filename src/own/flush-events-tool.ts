import * as z from "zod";
import type { Events } from "../bus/events.ts";
import { argumentsOf } from "./arguments.ts";
import type { OwnTool } from "./own-tools.ts";

const count = { type: "integer", minimum: 0 };

/** `flush_events`: hands over at once what waits to be handed over. */
export const flushEventsTool = (events: Pick<Events, "flush">): OwnTool => ({
  definition: {
    name: "flush_events",
    title: "Hand over events that wait",
    description:
      "Hands over to the sinks of Holdfast's config all events that wait for that, and tells how each sink does: what still waits, what was delivered, dropped, and what went wrong.",
    inputSchema: { type: "object", properties: {}, additionalProperties: false },
    outputSchema: {
      type: "object",
      properties: {
        sinks: {
          type: "array",
          items: {
            type: "object",
            properties: {
              name: { type: "string" },
              buffered: { ...count, description: "Events that wait." },
              delivered: count,
              dropped: count,
              failures: { ...count, description: "Tries that failed." },
              problem: { type: "string", description: "Why the last try failed, where it did." },
            },
            required: ["name", "buffered", "delivered", "dropped", "failures"],
          },
        },
      },
      required: ["sinks"],
    },
    annotations: {
      readOnlyHint: false,
      destructiveHint: false,
      idempotentHint: true,
      openWorldHint: true,
    },
  },
  run: async (call) => {
    argumentsOf(call, z.strictObject({}));
    return { sinks: await events.flush() };
  },
});
