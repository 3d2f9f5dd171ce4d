import * as z from "zod";
import { showValue } from "../config/problems.ts";
import { refused } from "./arguments.ts";

/** What both tools that query events take. */
export const eventQuery = z.strictObject({
  type: z.string().min(1).max(256).optional(),
  since: z.union([z.string(), z.number()]).optional(),
  limit: z.int().min(1).max(1000).default(100),
});

export const eventQuerySchema = (sinceDefault: string) => ({
  type: "object",
  properties: {
    type: {
      type: "string",
      description:
        'Type of the events, such as "lead.created"; "*" stands for any text. Default: all.',
    },
    since: {
      anyOf: [{ type: "string" }, { type: "number" }],
      description: `The time from which on, as in "2026-01-31T12:00:00Z" or in milliseconds since 1970. Default: ${sinceDefault}.`,
    },
    limit: {
      type: "integer",
      minimum: 1,
      maximum: 1000,
      default: 100,
      description: "So many of the newest.",
    },
  },
  additionalProperties: false,
});

export const eventListSchema = {
  events: {
    type: "array",
    items: {
      type: "object",
      properties: {
        id: { type: "string" },
        source: { type: "string" },
        type: { type: "string" },
        subject: { type: "string" },
        time: { type: "string", format: "date-time" },
        trace: { type: "string" },
        data: {},
      },
      required: ["id", "source", "type", "time"],
    },
    description: "CloudEvents, the oldest first.",
  },
  more: { type: "boolean", description: "Whether there are older ones that would fit." },
};

/** Milliseconds since 1970. Throws a CallError where it is no time. */
export function timeOf(since: string | number): number {
  const time = typeof since === "number" ? since : Date.parse(since);
  if (Number.isFinite(time)) return time;
  throw refused(
    `arguments.since: expected a time such as "2026-01-31T12:00:00Z" or milliseconds since 1970, got ${showValue(since, [])}`,
  );
}
