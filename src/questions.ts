/*
 * What servers ask of clients, and which clients can be asked.
 */
import type { JsonObject } from "./call.ts";
import { isObject } from "./wire.ts";

/** What servers ask of clients that have announced that they answer it. */
const methods = new Set(["elicitation/create", "sampling/createMessage", "roots/list"]);

export const isQuestion = (method: string): boolean => methods.has(method);

/** Whether a client that announces these capabilities can be asked that. */
export function isAble(capabilities: JsonObject, method: string, params: JsonObject): boolean {
  const { elicitation, sampling, roots } = capabilities;
  switch (method) {
    case "elicitation/create":
      if (!isObject(elicitation)) return false;
      if (params["mode"] === "url") return elicitation["url"] !== undefined;
      return elicitation["form"] !== undefined || elicitation["url"] === undefined;
    case "sampling/createMessage":
      return (
        isObject(sampling) && (params["tools"] === undefined || sampling["tools"] !== undefined)
      );
    case "roots/list":
      return isObject(roots);
    default:
      return false;
  }
}

/** How a question is refused that the client does not take. */
export const notAble = (method: string): Error =>
  Object.assign(new Error(`Method not found: ${method}`), { code: -32601 });
