import * as z from "zod";

/** The options of the guard against large results. */
export const resultOptions = z.strictObject({
  maxBytes: z
    .int()
    .min(0)
    .max(256 * 1024 ** 2)
    .describe(
      "Bytes of text in a result from which on it is kept on disk and given in pages; 0: no limit.",
    )
    .default(0),
});

/** The options in force. */
export type ResultOptions = z.output<typeof resultOptions>;
