import * as z from "zod";
import type { Events } from "../bus/events.ts";
import { run, subscription } from "../bus/events-options.ts";
import { showValue } from "../config/problems.ts";
import { argumentsOf, refused } from "./arguments.ts";
import type { OwnTool } from "./own-tools.ts";

const { on, when } = subscription.shape;
const subscribed = z.strictObject({ on, when, run });
const ended = z.strictObject({ id: z.string() });

const text = { type: "string" };
const object = { type: "object" };

/** What is said of a subscription beyond what the caller says. */
const { maxConcurrent, maxQueue } = subscription.parse({ on: "*", run: { tool: "x" } });

/** `subscribe_event`: starts a tool at each event of a type. */
export const subscribeEventTool = (events: Pick<Events, "subscribe" | "mayStart">): OwnTool => ({
  definition: {
    name: "subscribe_event",
    title: "Subscribe to events",
    description:
      "From now on starts a tool, a chain or a saga at each event of a type, until unsubscribe_event ends that, or Holdfast does: it is kept in memory only. Answers with the subscription's id.",
    inputSchema: {
      type: "object",
      properties: {
        on: {
          ...text,
          description: 'Type of the events, such as "lead.created"; "*" stands for any text.',
        },
        when: {
          ...text,
          description: 'Only those for which this CEL expression holds: "event.data.score > 5".',
        },
        run: {
          type: "object",
          properties: {
            tool: { ...text, description: "Name of a tool, as it is listed." },
            chain: { ...text, description: "Name of a chain, instead of a tool." },
            saga: { ...text, description: "Name of a saga, instead of a tool." },
            arguments: {
              ...object,
              description:
                'What it is given; texts may hold expressions: "${{ event.data.email }}". Default: the event, which has id, source, type, time and data.',
            },
            input: { ...object, description: "Another name of arguments." },
          },
          additionalProperties: false,
          description: "What is started: one of tool, chain and saga.",
        },
      },
      required: ["on", "run"],
      additionalProperties: false,
    },
    outputSchema: { type: "object", properties: { id: text }, required: ["id"] },
    // What it will start may do anything.
    annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: true },
  },
  run: (call) => {
    const given = argumentsOf(call, subscribed);
    const refusal = events.mayStart(given.run, call.caller);
    if (refusal !== undefined) throw refused(`arguments.run: ${refusal}`);
    const id = events.subscribe({ ...given, maxConcurrent, maxQueue }, call.caller);
    if (id === undefined) throw refused("you have too many subscriptions: end one first");
    return { id };
  },
});

/** `unsubscribe_event`: ends a subscription. */
export const unsubscribeEventTool = (events: Pick<Events, "unsubscribe">): OwnTool => ({
  definition: {
    name: "unsubscribe_event",
    title: "End a subscription to events",
    description: "Ends a subscription that subscribe_event has made. What it has started goes on.",
    inputSchema: {
      type: "object",
      properties: { id: { ...text, description: "What subscribe_event has answered." } },
      required: ["id"],
      additionalProperties: false,
    },
    outputSchema: { type: "object", properties: { id: text }, required: ["id"] },
    annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: false },
  },
  run: (call) => {
    const { id } = argumentsOf(call, ended);
    if (!events.unsubscribe(id, call.caller))
      throw refused(`there is no subscription ${showValue(id, [])} of yours`);
    return { id };
  },
});
