import * as z from "zod";
import { longestMs } from "./limits-options.ts";

/** The options of the circuit breaker. */
export const circuitBreakerOptions = z.strictObject({
  consecutiveFailures: z
    .int()
    .min(0)
    .max(10_000)
    .describe("Failures in a row that open the circuit; 0: this trigger is off.")
    .default(5),
  failureRatio: z
    .number()
    .min(0)
    .max(1)
    .describe("Share of failed calls within the window that opens the circuit; 0: off.")
    .default(0.5),
  minimumCalls: z
    .int()
    .min(1)
    .max(100_000)
    .describe("Calls within the window before a share of them counts.")
    .default(10),
  windowMs: z
    .int()
    .min(100)
    .max(longestMs)
    .describe("Milliseconds that the shares look back.")
    .default(30_000),
  slowCallMs: z
    .int()
    .min(0)
    .max(longestMs)
    .describe("Milliseconds from which on a call counts as slow; 0: none does.")
    .default(0),
  slowCallRatio: z
    .number()
    .min(0)
    .max(1)
    .describe("Share of slow calls within the window that opens the circuit; 0: off.")
    .default(0.5),
  openMs: z
    .int()
    .min(1)
    .max(longestMs)
    .describe(
      "Milliseconds that an open circuit refuses calls before it lets a probe through. Doubles with each probe that fails.",
    )
    .default(30_000),
  maxOpenMs: z
    .int()
    .min(1)
    .max(longestMs)
    .describe("Milliseconds up to which the open time grows; never less than openMs.")
    .default(300_000),
  halfOpenCalls: z
    .int()
    .min(1)
    .max(1000)
    .describe("Probes let through at once; as many successes close the circuit.")
    .default(1),
  perTool: z
    .boolean()
    .describe("Whether each tool has a circuit of its own, rather than the server one for all.")
    .default(false),
  force: z
    .enum(["auto", "open", "closed"])
    .describe("Holds the circuit open or closed by hand; auto: as the calls go.")
    .default("auto"),
});

/** The options in force. */
export type CircuitBreakerOptions = z.output<typeof circuitBreakerOptions>;
