import type { Call, Effect } from "./call.ts";

/** What a repetition does of requests that concern no tool. Others are taken for the worst. */
const effects: Readonly<Record<string, Effect>> = {
  "resources/read": "read",
  "prompts/get": "read",
  "completion/complete": "read",
  "tasks/get": "read",
  "tasks/list": "read",
  "tasks/result": "read",
  "resources/subscribe": "idempotent",
  "resources/unsubscribe": "idempotent",
  "tasks/cancel": "idempotent",
  "logging/setLevel": "idempotent",
};

/** What a call does when it is sent again. One that starts a task is a write, whatever its tool does. */
export function effectOf({ method, tool, params }: Call): Effect {
  if (tool === undefined) return effects[method] ?? "write";
  return params["task"] === undefined ? tool.effect : "write";
}
