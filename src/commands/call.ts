import type { JsonObject, Result, Tool } from "../call.ts";
import { asCallError, messageOf, type CallError } from "../errors.ts";
import { failureResult } from "../front/failure.ts";
import { now } from "../time.ts";
import { isObject } from "../wire.ts";
import { openFor } from "./open.ts";
import { UsageError, type Output } from "./output.ts";
import { findTool } from "./tools.ts";

/** `holdfast call TOOL JSON`: one call through the whole stack. 1 where it fails or the tool says no, else 0. */
export async function call(
  file: string | undefined,
  name: string,
  json: string | undefined,
  output: Output,
): Promise<number> {
  const args = argumentsOf(json);
  const result = await openFor(file, async (opened, signal) => {
    const tool = await findTool(opened, name);
    const caller = { principal: "local", session: "cli", client: "holdfast call" };
    const begun = now();
    return opened.holdfast.gateway
      .callTool(tool, { arguments: args }, { caller, signal })
      .catch((error: unknown) => answerOf(asCallError(error), tool, now() - begun));
  });
  output.line(output.json ? JSON.stringify(result) : textOf(result));
  return result["isError"] === true ? 1 : 0;
}

/** A JSON object of the command line. Throws UsageError. */
export function argumentsOf(json: string | undefined): JsonObject {
  if (json === undefined) return {};
  try {
    const value: unknown = JSON.parse(json);
    if (isObject(value)) return value;
  } catch (error) {
    throw new UsageError(`expected the arguments as JSON, such as '{"a":1}': ${messageOf(error)}`);
  }
  throw new UsageError(`expected the arguments as a JSON object, such as '{"a":1}', got ${json}`);
}

/** What a call that failed is answered with. */
export const answerOf = (error: CallError, { effect }: Tool, elapsedMs: number): Result =>
  error.rpc === undefined
    ? failureResult(error, { effect, elapsedMs, alternatives: [] })
    : {
        content: [{ type: "text", text: `error ${error.rpc.code}: ${error.rpc.message}` }],
        isError: true,
      };

/** What a person reads: texts as they are, other blocks as JSON. */
export function textOf(result: Result): string {
  const { content } = result;
  if (!Array.isArray(content)) return JSON.stringify(result, undefined, 2);
  return content
    .map((block: unknown) =>
      isObject(block) && typeof block["text"] === "string"
        ? block["text"]
        : JSON.stringify(block, undefined, 2),
    )
    .join("\n");
}
