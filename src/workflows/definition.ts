/*
 * What chains and sagas look like, in config, in files and inline. What is wrong across steps is found in check.ts.
 */
import * as z from "zod";

const id = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, "a letter or _, then up to 63 letters, digits and _");

const template = "texts may hold expressions, such as";

/** How often something is tried, and how long to wait between. */
export const stepRetry = z
  .strictObject({
    maxAttempts: z.int().min(1).max(20).default(3).describe("Attempts in all."),
    initialDelayMs: z
      .int()
      .min(0)
      .max(600_000)
      .default(200)
      .describe("Milliseconds before the second attempt."),
    factor: z.number().min(1).max(10).default(2).describe("How much longer each wait is."),
    maxDelayMs: z
      .int()
      .min(0)
      .max(600_000)
      .default(10_000)
      .describe("Milliseconds that a wait lasts at most."),
  })
  .meta({
    id: "stepRetry",
    description:
      "Attempts of a step, beside those of the policies. A step is tried again only where that repeats no effect.",
  });

const toolName = z.string().min(1).describe("Exposed name of a tool.");

const toolArguments = z
  .record(z.string(), z.unknown())
  .default({})
  .describe(`Its arguments; ${template} "\${{ input.id }}" or "\${{ steps.order.result.id }}".`);

const timeoutMs = z
  .int()
  .min(1)
  .max(86_400_000)
  .exactOptional()
  .describe("Milliseconds that the call may take in all. Default: policies.timeout of its server.");

/** How a step is undone. */
export const compensation = z
  .strictObject({
    tool: toolName,
    arguments: z
      .record(z.string(), z.unknown())
      .default({})
      .describe(
        'Its arguments; beside what the step sees also the step\'s own arguments (as sent) and result, such as "${{ result.id }}".',
      ),
    retry: stepRetry.prefault({}),
    timeoutMs,
  })
  .meta({ id: "compensation", description: "The call that undoes a step." });

/** How to find out whether a step happened. */
export const stepVerify = z
  .strictObject({
    tool: z.string().min(1).describe("Exposed name of a tool that only reads."),
    arguments: z
      .record(z.string(), z.unknown())
      .default({})
      .describe(
        "Its arguments; expressions see what the step sees, its own arguments and step.key.",
      ),
    happened: z
      .string()
      .min(1)
      .describe(
        "An expression that is true where the step happened; result is the answer of this tool.",
      ),
    result: z
      .unknown()
      .optional()
      .describe(
        "What the step's result is where it happened: JSON with expressions over this tool's result. Default: null.",
      ),
    delayMs: z
      .int()
      .min(0)
      .max(600_000)
      .default(0)
      .describe("Milliseconds to wait before each question."),
    attempts: z
      .int()
      .min(1)
      .max(20)
      .default(3)
      .describe("Questions until one is answered with true or false."),
  })
  .meta({ id: "stepVerify", description: "How to find out whether a step happened." });

const onError = z
  .strictObject({
    action: z
      .enum(["fail", "continue", "default"])
      .default("fail")
      .describe(
        "Stop (fail), go on with null as the result (continue), or go on with a default (default).",
      ),
    default: z.unknown().optional().describe("The result where the action is default."),
  })
  .describe("What follows where the step fails. Its error is steps.ID.error then.");

const forEach = z
  .strictObject({
    in: z
      .union([z.string().min(1), z.array(z.unknown())])
      .describe('The list: an expression such as "${{ input.items }}", or the list itself.'),
    as: id.default("item").describe("The name of the current element, beside index."),
    maxParallel: z.int().min(1).max(64).default(1).describe("Elements at work at once."),
    batchSize: z
      .int()
      .min(1)
      .max(10_000)
      .exactOptional()
      .describe("Elements that must all have ended before the next ones begin. Default: all."),
    maxIterations: z
      .int()
      .min(1)
      .max(10_000)
      .default(1000)
      .describe("More elements than these are an error, before any is begun."),
  })
  .describe("Does the step once for each element of a list; the result is the list of results.");

/** One step: a call of a tool, or other steps. */
export const step = z
  .strictObject({
    id: id.describe("Names the step: its result is steps.ID.result."),
    when: z
      .string()
      .min(1)
      .exactOptional()
      .describe("An expression; where it is false, the step is skipped and its result is null."),
    forEach: forEach.exactOptional(),
    tool: toolName.exactOptional(),
    arguments: toolArguments,
    get steps() {
      return z
        .array(step)
        .min(1)
        .exactOptional()
        .describe("Steps one after the other instead of a tool; the result is the last one's.");
    },
    get parallel() {
      return z
        .array(step)
        .min(1)
        .max(64)
        .exactOptional()
        .describe("Steps at once instead of a tool; the result is an object of theirs by id.");
    },
    get switch() {
      return z
        .strictObject({
          value: z
            .string()
            .min(1)
            .describe("An expression; its value as text is the name of the case."),
          cases: z.record(z.string(), z.array(step)).describe("Steps by case."),
          default: z
            .array(step)
            .exactOptional()
            .describe("Steps where there is no such case. Without them that is an error."),
        })
        .exactOptional()
        .describe(
          "One of several lists of steps instead of a tool; the result is that of the list's last step.",
        );
    },
    mode: z
      .enum(["failFast", "collect"])
      .default("failFast")
      .describe(
        "Of parallel and forEach: the first failure ends the rest and fails the step (failFast), or all are done, null stands for the result of a failed one, and steps.ID.errors lists what failed (collect).",
      ),
    retry: stepRetry.exactOptional(),
    timeoutMs,
    onError: onError.exactOptional(),
    output: z
      .unknown()
      .optional()
      .describe(
        'What to make of the result: JSON with expressions, such as "${{ result.items }}". Default: the result as it is.',
      ),
    compensate: z
      .union([z.literal(false), compensation])
      .exactOptional()
      .describe(
        "Sagas: the call that undoes the step; false: there is nothing to undo. Needed for each step that changes something and stands before the pivot.",
      ),
    verify: stepVerify
      .exactOptional()
      .describe("Sagas: how to find out whether the step happened whose answer was lost."),
    onUnknown: z
      .enum(["verify", "retry", "compensate", "stop"])
      .exactOptional()
      .describe(
        "Sagas: what follows where it is not known whether the step happened. Default: verify where it is given, retry for an idempotent tool, else stop, which leaves the run stuck until a person has looked.",
      ),
    pivot: z
      .boolean()
      .default(false)
      .describe(
        "Sagas: the point of no return. After it nothing is undone; what fails is tried again.",
      ),
  })
  .meta({
    id: "step",
    description: "A step: a call of a tool (tool), or other steps (steps, parallel or switch).",
  });

const definitionShape = {
  title: z.string().exactOptional().describe("A title for people."),
  description: z.string().min(1).exactOptional().describe("What it does, for models."),
  inputSchema: z
    .record(z.string(), z.unknown())
    .default({})
    .describe("JSON Schema of the input. Default: any object."),
  steps: z.array(step).min(1).describe("What is done, one after the other."),
  output: z
    .unknown()
    .optional()
    .describe(
      "What the answer is: JSON with expressions over input and steps. Default: the result of the last step.",
    ),
};

export const chain = z.strictObject(definitionShape).meta({
  id: "chain",
  description: "Calls of tools that follow from each other, offered as one tool.",
});

export const saga = z.strictObject(definitionShape).meta({
  id: "saga",
  description:
    "Calls of tools that are undone in reverse when a later one fails, offered as one tool. Its runs survive a crash.",
});

export type Step = z.output<typeof step>;
export type Definition = z.output<typeof saga>;
export type StepRetry = z.output<typeof stepRetry>;
