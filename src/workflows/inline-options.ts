import * as z from "zod";

/** What definitions may do that come with a call. */
export const inlineOptions = z
  .object({
    allow: z
      .array(z.string())
      .default(["*"])
      .describe('Exposed names of the tools that they may use; "*" stands for any text.'),
    effects: z
      .array(z.enum(["read", "idempotent", "write"]))
      .default(["read", "idempotent", "write"])
      .describe("What the tools that they use may do."),
    consent: z
      .enum(["off", "elicit", "require"])
      .default("elicit")
      .describe(
        "Whether the writes of a plan are shown to the user first: never (off), where the client can ask (elicit), or always, so that a client that cannot ask is refused (require).",
      ),
  })
  .describe(
    "What chains and sagas may do that a model writes itself (run_chain and run_saga with a definition), and what batch may.",
  );

export type InlineOptions = z.output<typeof inlineOptions>;
