import * as z from "zod";
import type { Call, JsonObject } from "../call.ts";
import type { Group } from "../groups/group-options.ts";
import type { Providers } from "../groups/group-tool.ts";
import { isFit } from "../groups/select.ts";
import type { OwnTool } from "./own-tools.ts";
import { argumentsOf } from "./arguments.ts";

const text = { type: "string" };
const number = { type: "number" };
const texts = { type: "array", items: text };

const args = z.strictObject({
  group: z.string().optional(),
  capabilities: z.array(z.string()).default([]),
  maxPriceUsd: z.number().min(0).optional(),
  minReputation: z.number().min(0).max(100).optional(),
});

/** `find_providers`: who can do what a group offers, and how they did lately. */
export const findProvidersTool = (
  groups: ReadonlyMap<string, Group>,
  providers: Providers,
): OwnTool => ({
  definition: {
    name: "find_providers",
    title: "Find providers",
    description:
      "Lists the tools that a provider group of Holdfast can use, with price, reputation, capabilities, and how they did lately. Use it to choose one by yourself.",
    inputSchema: {
      type: "object",
      properties: {
        group: { ...text, description: "Name of a group. Default: all." },
        capabilities: { ...texts, description: "What they must be able to do, all of it." },
        maxPriceUsd: { ...number, description: "US dollars that a call may cost." },
        minReputation: { ...number, description: "The least reputation, from 0 to 100." },
      },
      additionalProperties: false,
    },
    outputSchema: {
      type: "object",
      properties: {
        providers: {
          type: "array",
          items: {
            type: "object",
            properties: {
              group: text,
              tool: text,
              available: { type: "boolean" },
              effect: { enum: ["read", "idempotent", "write"] },
              priceUsd: number,
              reputation: number,
              capabilities: texts,
              meanMs: number,
              successRate: number,
            },
            required: ["group", "tool", "available", "priceUsd", "reputation", "capabilities"],
          },
        },
      },
      required: ["providers"],
    },
    annotations: { readOnlyHint: true, openWorldHint: false },
  },
  run: (call: Call): JsonObject => {
    const { group: wanted, ...filter } = argumentsOf(call, args);
    const asked = [...groups].filter(([name]) => wanted === undefined || name === wanted);
    return {
      providers: asked.flatMap(([group, { providers: all }]) =>
        all
          .filter((provider) =>
            isFit(provider, {
              capabilities: filter.capabilities,
              ...(filter.maxPriceUsd !== undefined && { maxPriceUsd: filter.maxPriceUsd }),
              ...(filter.minReputation !== undefined && { minReputation: filter.minReputation }),
            }),
          )
          .map(({ tool: name, priceUsd, reputation, capabilities }) => {
            const tool = providers.find(name);
            const { meanMs, successRate } = tool === undefined ? {} : providers.figures(tool);
            return {
              group,
              tool: name,
              available: tool !== undefined,
              ...(tool !== undefined && { effect: tool.effect }),
              priceUsd,
              reputation,
              capabilities,
              ...(meanMs !== undefined && { meanMs: Math.round(meanMs) }),
              ...(successRate !== undefined && { successRate }),
            };
          }),
      ),
    };
  },
});
