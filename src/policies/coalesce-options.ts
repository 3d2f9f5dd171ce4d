import * as z from "zod";
import { withExpressions } from "../expressions/schema.ts";

/** The options of coalescing. */
export const coalesceOptions = z.strictObject({
  enabled: z
    .boolean()
    .describe(
      "Whether calls of a tool that only reads share one upstream call while it is under way.",
    )
    .default(true),
  onDuplicate: z
    .enum(["share", "reject"])
    .describe("What becomes of a call while the same one is under way.")
    .default("share"),
  key: withExpressions(z.string(), "arguments")
    .describe(
      'Which calls are the same: a text with expressions over the arguments, such as "${{ arguments.id }}"; "": those with the same arguments.',
    )
    .default(""),
});

/** The options in force. */
export type CoalesceOptions = z.output<typeof coalesceOptions>;
