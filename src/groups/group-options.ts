import * as z from "zod";
import { withExpressions } from "../expressions/schema.ts";

const strategies = ["best", "cheapest", "fastest", "balanced"] as const;

const filter = {
  capabilities: z
    .array(z.string())
    .describe("What a provider must be able to do, all of it.")
    .default([]),
  maxPriceUsd: z
    .number()
    .min(0)
    .exactOptional()
    .describe("US dollars that a provider may take for a call. Default: any."),
  minReputation: z
    .number()
    .min(0)
    .max(100)
    .exactOptional()
    .describe("The least reputation, from 0 to 100. Default: any."),
};

/** One tool that does what a group offers. */
export const provider = z
  .object({
    tool: z.string().min(1).describe("Exposed name of the tool."),
    priceUsd: z.number().min(0).describe("US dollars for a call.").default(0),
    reputation: z
      .number()
      .min(0)
      .max(100)
      .describe("How good its answers are, from 0 to 100.")
      .default(50),
    capabilities: z.array(z.string()).describe("What it can do, such as languages.").default([]),
    arguments: withExpressions(z.record(z.string(), z.unknown()), "input")
      .exactOptional()
      .describe(
        'Its arguments; texts may hold expressions over input, such as "${{ input.query }}". Default: the input as it is.',
      ),
    result: withExpressions(z.unknown(), "input", "result")
      .optional()
      .describe(
        'What to make of its result: JSON with expressions over input and result, such as "${{ result.items }}". Default: the result as it is.',
      ),
  })
  .meta({ id: "provider", description: "A tool that does what the group offers." });

/** Several tools that do the same, offered as one. */
export const group = z
  .object({
    description: z.string().min(1).describe("What the group's tool does, for models."),
    title: z.string().exactOptional().describe("A title for people."),
    inputSchema: z
      .record(z.string(), z.unknown())
      .default({})
      .describe("JSON Schema of the input. Default: any object."),
    strategy: z
      .enum(strategies)
      .default("balanced")
      .describe(
        "Who is asked first: the one with the best reputation and success (best), the lowest price (cheapest), the shortest answers (fastest), or the best of all three (balanced).",
      ),
    fallback: z
      .array(z.enum(strategies))
      .default([])
      .describe(
        "By which strategy the second one is chosen, the third, and so on. The last one counts for all that follow; default: strategy.",
      ),
    healthCheck: z
      .boolean()
      .default(true)
      .describe(
        "Whether a server that was not heard of for 5 minutes is pinged before it is asked.",
      ),
    ...filter,
    providers: z
      .array(provider)
      .min(1)
      .describe("The tools, in the order that counts where they are equal."),
  })
  .meta({ id: "group", description: "Several tools that do the same, offered as one tool." });

export type Strategy = (typeof strategies)[number];
export type Provider = z.output<typeof provider>;
export type Group = z.output<typeof group>;
export type Filter = Pick<Group, "capabilities" | "maxPriceUsd" | "minReputation">;
