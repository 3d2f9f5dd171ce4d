import * as z from "zod";
import { isReserved } from "../bus/cloud-event.ts";
import type { Events } from "../bus/events.ts";
import { showValue } from "../config/problems.ts";
import { toJson } from "../wire.ts";
import { argumentsOf, refused } from "./arguments.ts";
import type { OwnTool } from "./own-tools.ts";

const typePattern = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const longestType = 128;
const mostBytes = 64 * 1024;

const args = z.strictObject({ type: z.string(), data: z.unknown().optional() });

const count = { type: "integer", minimum: 0 };

/** `publish_event`: tells something to all who want to know. */
export const publishEventTool = (events: Pick<Events, "publish">): OwnTool => ({
  definition: {
    name: "publish_event",
    title: "Publish an event",
    description:
      "Tells an event to all who have subscribed to its type: subscriptions of Holdfast's config or of subscribe_event, which may start tools, and sinks. Answers how many were told, how many of them failed, and how many are still at work on it.",
    inputSchema: {
      type: "object",
      properties: {
        type: {
          type: "string",
          maxLength: longestType,
          description:
            'What happened: words with dots between them, such as "lead.created". Those of the gateway, such as "call.failed", cannot be used.',
        },
        data: { description: "Any JSON that says more, up to 64 KiB." },
      },
      required: ["type"],
      additionalProperties: false,
    },
    outputSchema: {
      type: "object",
      properties: {
        id: { type: "string" },
        told: { ...count, description: "How many wanted the event." },
        failed: { ...count, description: "How many of them failed." },
        pending: { ...count, description: "How many of them have not ended after two seconds." },
      },
      required: ["id", "told", "failed", "pending"],
    },
    // What it starts depends on who has subscribed.
    annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: true },
  },
  run: async (call) => {
    const { type, data = null } = argumentsOf(call, args);
    if (!typePattern.test(type) || type.length > longestType)
      throw refused(
        `arguments.type: expected words of A-Z, a-z, 0-9, _ and - with dots between them, ${longestType} characters at most, got ${showValue(type, [])}`,
      );
    if (isReserved(type))
      throw refused(
        `arguments.type: ${type.split(".", 1)[0]}.* is kept for the events of the gateway; choose another first word`,
      );
    const json = toJson(data);
    const bytes = json === undefined ? Infinity : Buffer.byteLength(json);
    if (bytes > mostBytes)
      throw refused(`arguments.data: expected at most ${mostBytes} bytes as JSON`);
    return { ...(await events.publish(type, data, bytes, call)) };
  },
});
