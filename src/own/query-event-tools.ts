import type { Events } from "../bus/events.ts";
import { argumentsOf, refused } from "./arguments.ts";
import { eventListSchema, eventQuery, eventQuerySchema, timeOf } from "./event-queries.ts";
import type { OwnTool } from "./own-tools.ts";

const auditAge = 24 * 3_600_000;

/** `query_events`: what happened of late. */
export const queryEventsTool = (events: Pick<Events, "query">): OwnTool => ({
  definition: {
    name: "query_events",
    title: "Query events",
    description:
      "Lists events of late that Holdfast has in memory: those that were published, and its own, such as call.failed, circuit.changed or upstream.state. Use it to see what happened.",
    inputSchema: eventQuerySchema("all that are kept"),
    outputSchema: {
      type: "object",
      properties: eventListSchema,
      required: ["events", "more"],
    },
    annotations: { readOnlyHint: true, openWorldHint: false },
  },
  run: (call) => {
    const { type, since, limit } = argumentsOf(call, eventQuery);
    const from = since === undefined ? -Infinity : timeOf(since);
    const { principal } = call.caller;
    return { ...events.query({ type, since: from, limit, principal }) };
  },
});

/** `query_audit`: what happened, as it is written down. */
export const queryAuditTool = (events: Pick<Events, "queryAudit">): OwnTool => ({
  definition: {
    name: "query_audit",
    title: "Query the audit file",
    description:
      "Lists events from Holdfast's audit file, which outlives restarts. Use it to see what happened before the events that query_events gives.",
    inputSchema: eventQuerySchema("24 hours ago"),
    outputSchema: {
      type: "object",
      properties: {
        ...eventListSchema,
        skipped: {
          type: "integer",
          minimum: 0,
          description: "Lines of the file that are no events, such as one that a crash has torn.",
        },
      },
      required: ["events", "more", "skipped"],
    },
    annotations: { readOnlyHint: true, openWorldHint: false },
  },
  run: async (call) => {
    const { type, since, limit } = argumentsOf(call, eventQuery);
    const from = since === undefined ? Date.now() - auditAge : timeOf(since);
    const { principal } = call.caller;
    const found = await events.queryAudit({ type, since: from, limit, principal }, call.signal);
    if (found === undefined) throw refused("nothing is audited: config has no events.audit");
    return { ...found };
  },
});
