/*
 * What a client of the older era says first, and what is no request at all.
 */
import type { JsonObject } from "../call.ts";
import { olderVersions } from "../era.ts";
import type { RpcError } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { implementation } from "../version.ts";
import { isObject } from "../wire.ts";
import { commonCapabilities, instructionsOf } from "./offer.ts";

const invalidParams = -32602;

/** What clients are told that they can use. */
const capabilities = {
  ...commonCapabilities,
  tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } },
};

/** The answer to `initialize`: in the client's version where we speak it, and else in our newest. */
export function welcome(params: unknown, gateway: Gateway): JsonObject | undefined {
  const { protocolVersion: asked, capabilities: announced, clientInfo } = asObject(params);
  const { name, version } = asObject(clientInfo);
  if (typeof asked !== "string" || !isObject(announced)) return undefined;
  if (typeof name !== "string" || typeof version !== "string") return undefined;
  const instructions = instructionsOf(gateway);
  return {
    protocolVersion: olderVersions.includes(asked) ? asked : olderVersions[0],
    capabilities,
    serverInfo: implementation,
    ...(instructions !== undefined && { instructions }),
  };
}

/** Why there is no such answer. */
export const notWelcome: RpcError = {
  code: invalidParams,
  message:
    "expected params.protocolVersion to be a string, params.capabilities an object, and params.clientInfo to have a name and a version",
};

/** What is wrong with the parameters of a request; undefined where nothing is. */
export function wrongParams(params: unknown): RpcError | undefined {
  const meta = isObject(params) ? params["_meta"] : undefined;
  if ((params === undefined || isObject(params)) && (meta === undefined || isObject(meta)))
    return undefined;
  return { code: invalidParams, message: "expected params and params._meta to be objects" };
}

const members = new Set(["jsonrpc", "id", "method", "params"]);

/** Whether a message that has a method and an id is a request, to the letter. */
export function isRequest(message: JsonObject): boolean {
  const { jsonrpc, id, params } = message;
  const { progressToken: token } = asObject(asObject(params)["_meta"]);
  return (
    jsonrpc === "2.0" &&
    isId(id) &&
    (token === undefined || isId(token)) &&
    wrongParams(params) === undefined &&
    Object.keys(message).every((name) => members.has(name))
  );
}

const isId = (value: unknown): boolean => typeof value === "string" || Number.isSafeInteger(value);

const asObject = (value: unknown): JsonObject => (isObject(value) ? value : {});
