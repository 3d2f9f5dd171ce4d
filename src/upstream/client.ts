/*
 * The SDK's side of an upstream: handshake and lists. Calls do not come through here.
 */
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { ResultSchema } from "@modelcontextprotocol/sdk/types.js";
import type { JsonObject, ToolDefinition } from "../call.ts";
import { messageOf } from "../errors.ts";
import { implementation } from "../version.ts";
import { isObject } from "../wire.ts";
import type { ServerInfo } from "./connection.ts";

/** More pages than this are taken for a server that never ends. */
const mostPages = 1000;

/** An initialised session of the SDK's client. */
export interface Session {
  readonly info: ServerInfo;
  listTools(timeoutMs: number): Promise<ToolDefinition[]>;
  onToolsChanged(listener: () => void): void;
}

/** Initialises a server over `transport`, within `timeoutMs`. */
export async function openSession(transport: Transport, timeoutMs: number): Promise<Session> {
  const client = new Client(implementation, { capabilities: {} });
  let toolsChanged: (() => void) | undefined;
  client.fallbackNotificationHandler = (notification) => {
    if (notification.method === "notifications/tools/list_changed") toolsChanged?.();
    return Promise.resolve();
  };
  let protocolVersion = "";
  transport.setProtocolVersion = wrap(transport.setProtocolVersion?.bind(transport), (version) => {
    protocolVersion = version;
  });
  await client.connect(transport, { timeout: timeoutMs });
  const { name, version } = client.getServerVersion() ?? { name: "", version: "" };
  const instructions = client.getInstructions();
  const capabilities = (client.getServerCapabilities() ?? {}) as JsonObject;
  return {
    info: {
      name,
      version,
      protocolVersion,
      capabilities,
      ...(instructions !== undefined && { instructions }),
    },
    listTools: (limit) =>
      capabilities["tools"] === undefined
        ? Promise.resolve([])
        : listAll<ToolDefinition>(client, "tools/list", "tools", limit),
    onToolsChanged(listener) {
      toolsChanged = listener;
    },
  };
}

/** Every page of a list. `listTools()` of the SDK reads one, and refuses all for one bad output schema. */
async function listAll<Item>(
  client: Client,
  method: string,
  member: string,
  timeoutMs: number,
): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < mostPages; page++) {
    const params = cursor === undefined ? {} : { cursor };
    // oxlint-disable-next-line no-await-in-loop -- each page names the next
    const result: JsonObject = await client.request({ method, params }, ResultSchema, {
      timeout: timeoutMs,
    });
    const found = result[member];
    if (!Array.isArray(found))
      throw new Error(`${method}: expected a list "${member}", got ${JSON.stringify(found)}`);
    items.push(...(found.filter(isObject) as Item[]));
    const next = result["nextCursor"];
    if (typeof next !== "string" || next === cursor) return items;
    cursor = next;
  }
  throw new Error(`${method}: more than ${mostPages} pages`);
}

/** The SDK puts this before each message of an error, once for each hop. */
const prefix = /^(?:MCP error -?\d+: )+/;

/** The message of an error of the SDK, as the server wrote it. */
export const plainMessage = (error: unknown): string => messageOf(error).replace(prefix, "");

const wrap =
  (inner: ((version: string) => void) | undefined, outer: (version: string) => void) =>
  (version: string): void => {
    inner?.(version);
    outer(version);
  };
