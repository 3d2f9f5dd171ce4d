/*
 * Finds out whether a step happened of which nobody knows it.
 */
import { Cancel } from "../cancel.ts";
import type { JsonObject } from "../call.ts";
import { messageOf } from "../errors.ts";
import { pause } from "../wait.ts";
import { callOnce, type Runner } from "./call-step.ts";
import type { Intent } from "./journal.ts";
import type { Settlement } from "./saga.ts";
import type { Task } from "./walk.ts";

/** Milliseconds between two questions whether a step happened. */
const betweenQuestions = 1000;

/** What a tool that reads says about whether a step happened, or why that cannot be told. */
export async function verified(
  runner: Runner,
  { body, values }: Task,
  intent: Intent,
): Promise<Settlement | string> {
  const { verify } = body;
  if (verify === undefined) return "there is no verify";
  const scope = {
    ...values,
    step: { key: intent.key },
    arguments: intent.arguments,
    result: null,
  };
  let why = "";
  try {
    const args = verify.args.template.evaluate(scope) as JsonObject;
    for (let attempt = 1; attempt <= verify.attempts; attempt++) {
      // oxlint-disable no-await-in-loop -- one question after the other
      const wait = attempt === 1 ? verify.delayMs : Math.max(verify.delayMs, betweenQuestions);
      if (wait > 0) await pause({ signal: new Cancel() }, wait);
      const called = await callOnce(runner, {
        tool: verify.tool,
        args,
        timeoutMs: undefined,
        signal: new Cancel(),
        fresh: true,
      });
      // oxlint-enable no-await-in-loop
      const found =
        "value" in called
          ? answered(verify, { ...scope, result: called.value })
          : called.failure.message;
      // An answer that says nothing; the next one may.
      if (typeof found !== "string") return found;
      why = found;
    }
  } catch (error) {
    why = messageOf(error); // the question cannot even be made
  }
  return `verify by ${verify.tool} cannot tell: ${why}`;
}

/** What an answer says, or why it says nothing. */
function answered(
  { happened, result }: NonNullable<Task["body"]["verify"]>,
  scope: Record<string, unknown>,
): Settlement | string {
  try {
    const didHappen = happened.expression.evaluate(scope);
    if (typeof didHappen !== "boolean")
      return `expected happened to be true or false, got ${JSON.stringify(didHappen)}`;
    return { didHappen, value: didHappen ? (result?.template.evaluate(scope) ?? null) : null };
  } catch (error) {
    return messageOf(error);
  }
}
