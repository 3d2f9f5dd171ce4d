import * as z from "zod";
import { expression, withExpressions } from "../expressions/schema.ts";

/** A longer pattern fits no type, and would only take its time. */
const pattern = z.string().min(1).max(256);

const types = z
  .array(pattern)
  .describe('Types of events, such as "lead.created"; "*" stands for any text.');

const batch = {
  batchSize: z
    .int()
    .min(1)
    .max(10_000)
    .default(100)
    .describe("Events that are handed over at once at most; so many are handed over right away."),
  flushMs: z
    .int()
    .min(0)
    .max(86_400_000)
    .default(30_000)
    .describe("Milliseconds after which fewer are handed over too."),
  maxBuffered: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(10_000)
    .describe("Events that may wait; beyond, new ones are dropped, counted and told."),
};

const maxBytes = z
  .int()
  .min(4096)
  .max(1024 ** 4)
  .default(100 * 1024 * 1024)
  .describe(
    "Bytes of the file at most: then it is renamed to FILE.1, in place of what had that name before.",
  );

const fileSink = z
  .object({
    type: z.literal("file").describe("Events are appended to a file, one JSON object a line."),
    path: z.string().min(1).describe("The file; a relative path as in cwd."),
    types: types.default(["*"]),
    maxBytes,
    ...batch,
  })
  .describe("A file that events go to.");

const toolSink = z
  .object({
    type: z.literal("tool").describe("Events are given to a tool, many at once."),
    tool: z.string().min(1).describe("Exposed name of the tool."),
    types: types.default(["*"]),
    arguments: withExpressions(z.record(z.string(), z.unknown()), "events")
      .exactOptional()
      .describe(
        'Its arguments; texts may hold expressions over events, such as "${{ events }}". Default: { "events": [ … ] }.',
      ),
    ...batch,
  })
  .describe("A tool that events go to.");

export const sink = z
  .discriminatedUnion("type", [fileSink, toolSink])
  .meta({ id: "sink", description: "Where events go, many at once." });

const startables = ["tool", "chain", "saga"] as const;

export const run = z
  .object({
    tool: z.string().min(1).exactOptional().describe("Exposed name of a tool."),
    chain: z.string().min(1).exactOptional().describe("Name of a chain, instead of a tool."),
    saga: z.string().min(1).exactOptional().describe("Name of a saga, instead of a tool."),
    arguments: withExpressions(z.record(z.string(), z.unknown()), "event")
      .exactOptional()
      .describe(
        'What it is given; texts may hold expressions over event, such as "${{ event.data.email }}". Default: the event.',
      ),
    input: withExpressions(z.record(z.string(), z.unknown()), "event")
      .exactOptional()
      .describe("Another name of arguments."),
  })
  .check((context) => {
    const { value } = context;
    const named = startables.filter((kind) => value[kind] !== undefined);
    const refuse = (message: string): void =>
      void context.issues.push({ code: "custom", message, input: value });
    if (named.length !== 1) refuse(`expected one of tool, chain and saga, got ${named.length}`);
    if (value.arguments !== undefined && value.input !== undefined)
      refuse("expected either arguments or input, got both");
  })
  .describe("What an event starts.");

export const subscription = z
  .object({
    on: pattern.describe('Type of the events, such as "lead.created"; "*" stands for any text.'),
    when: expression("event")
      .exactOptional()
      .describe('Only those for which this holds, such as "event.data.score > 5".'),
    run,
    maxConcurrent: z.int().min(1).max(64).default(4).describe("Events that are worked on at once."),
    maxQueue: z
      .int()
      .min(0)
      .max(100_000)
      .default(1000)
      .describe("Events that may wait for that; beyond, new ones are dropped, counted and told."),
  })
  .meta({ id: "subscription", description: "A tool, chain or saga that events start." });

const audit = z
  .object({
    file: z
      .string()
      .min(1)
      .describe("The file, one event as JSON a line; a relative path as in cwd."),
    types: types.default(["*"]),
    maxBytes,
  })
  .describe("Events that are kept in a file for good, and can be queried.");

const history = z
  .object({
    maxEvents: z
      .int()
      .min(0)
      .max(100_000)
      .default(1000)
      .describe(
        "Events that are kept at most, of each of four kinds: calls that were answered, what else happens to calls, what else happens in the gateway, and users' events.",
      ),
    maxBytes: z
      .int()
      .min(0)
      .max(1024 ** 3)
      .default(8 * 1024 * 1024)
      .describe("Bytes of users' events that are kept at most."),
    maxAgeMs: z
      .int()
      .min(1)
      .max(365 * 86_400_000)
      .default(86_400_000)
      .describe("Milliseconds after which an event is no longer given."),
  })
  .describe("The events of late that are kept in memory.");

/** What config says of events. */
export const eventsOptions = z
  .object({
    subscriptions: z.array(subscription).default([]).describe("What events start."),
    audit: audit.exactOptional(),
    sinks: z.array(sink).default([]).describe("Where events go, many at once."),
    history: history.prefault({}),
  })
  .describe("What becomes of events, the gateway's own and those that are published.");

export type EventsOptions = z.output<typeof eventsOptions>;
export type SinkOptions = z.output<typeof sink>;
export type FileSinkOptions = z.output<typeof fileSink>;
export type ToolSinkOptions = z.output<typeof toolSink>;
export type SubscriptionOptions = z.output<typeof subscription>;
export type RunOptions = z.output<typeof run>;
export type AuditOptions = z.output<typeof audit>;
export type HistoryOptions = z.output<typeof history>;
