import type { Result } from "./call.ts";
import { textOf } from "./classify.ts";

/** What expressions see of a result: its structured content, else its text as JSON, else its text. */
export function valueOf(result: Result): unknown {
  if (result["structuredContent"] !== undefined) return result["structuredContent"];
  const text = textOf(result);
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
