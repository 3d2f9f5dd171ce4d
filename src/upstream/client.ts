/*
 * The SDK's side of an upstream: handshake, lists, notifications, and what the server asks of the client.
 * Calls do not come through here.
 */
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { ResultSchema, type ClientCapabilities } from "@modelcontextprotocol/sdk/types.js";
import type { JsonObject, Lists } from "../call.ts";
import { messageOf } from "../errors.ts";
import type { Peers, Peer } from "../peer.ts";
import { every } from "../time.ts";
import { implementation } from "../version.ts";
import { isObject } from "../wire.ts";
import type { ListName, ServerInfo, Session } from "./connection.ts";
import type { Link } from "./link.ts";

/** More pages than this are taken for a server that never ends. */
const mostPages = 1000;
/** Notifications that are kept until somebody listens; a server that sends more says too much. */
const mostEarly = 10_000;
/** Milliseconds between two signs of life for the calls of a server that waits for its client: less than any sensible time limit of an attempt. */
const aliveInterval = 200;

/** How each list is asked for, and what a server announces that has it. */
const lists: Readonly<Record<ListName, { readonly method: string; readonly capability: string }>> =
  {
    tools: { method: "tools/list", capability: "tools" },
    prompts: { method: "prompts/list", capability: "prompts" },
    resources: { method: "resources/list", capability: "resources" },
    resourceTemplates: { method: "resources/templates/list", capability: "resources" },
  };

/** Whom a server may ask. */
export interface Asked {
  /** Who is there whatever is under way; what it can do is what the server is told. */
  readonly peer: Peer;
  readonly peers: Peers;
  /** Told when a server has asked something that only the calls under way tell whom. */
  readonly onAsked?: () => void;
}

/** What servers ask clients for. */
const questions = new Set(["roots/list", "sampling/createMessage", "elicitation/create"]);

/**
 * Initialises a server over `transport`, within `timeoutMs` once the client is known. What the server asks goes
 * to the client whose calls are under way, or to `peer` where it cannot be told whose they are; meanwhile the
 * calls are told that the server is at work, so that those that wait for a person do not time out.
 */
export async function openSession(
  upstream: string,
  transport: Transport,
  timeoutMs: number,
  { peer, peers, onAsked }: Asked,
  link: Link,
): Promise<Session> {
  const known = (await peer.capabilities) as ClientCapabilities;
  const client = new Client(implementation, { capabilities: known });
  const early: [method: string, params: JsonObject][] = [];
  let listener = (method: string, params: JsonObject): void => {
    if (early.length < mostEarly) early.push([method, params]);
  };
  client.fallbackNotificationHandler = ({ method, params }) => {
    listener(method, params ?? {});
    return Promise.resolve();
  };
  client.fallbackRequestHandler = ({ method, params }, { signal, requestId }) => {
    const caller = link.askedOf(requestId);
    const found = caller === undefined ? peers.only(link.callers()) : peers.of(caller);
    if (caller === undefined && questions.has(method)) onAsked?.();
    const onAlive = (): void => link.alive();
    onAlive();
    const alive = every(aliveInterval, onAlive);
    return (found ?? peer)
      .ask(upstream, method, params ?? {}, signal)
      .catch((error: unknown) => Promise.reject(asWireError(error)))
      .finally(() => {
        alive.clear();
        onAlive();
      });
  };
  let protocolVersion = "";
  const { setProtocolVersion } = transport;
  transport.setProtocolVersion = (version) => {
    protocolVersion = version;
    setProtocolVersion?.call(transport, version);
  };
  await client.connect(transport, { timeout: timeoutMs });
  const { name, version } = client.getServerVersion() ?? { name: "", version: "" };
  const instructions = client.getInstructions();
  const capabilities = (client.getServerCapabilities() ?? {}) as JsonObject;
  const info: ServerInfo = {
    name,
    version,
    protocolVersion,
    capabilities,
    ...(instructions !== undefined && { instructions }),
  };
  return {
    info,
    list: async (list, limit) => {
      const { method, capability } = lists[list];
      if (capabilities[capability] === undefined) return [];
      return (await listAll(client, method, list, limit)) as never;
    },
    async ping(limit) {
      await client
        .request({ method: "ping" }, ResultSchema, { timeout: limit })
        .catch((error: unknown) => {
          if (!isAnswer(error)) throw error;
        });
    },
    request: (method, params, limit) =>
      client.request({ method, params }, ResultSchema, { timeout: limit }),
    notify: (method, params) => void client.notification({ method, params }).catch(() => {}),
    onNotification(take) {
      listener = take;
      for (const [method, params] of early.splice(0)) take(method, params);
    },
  };
}

/** Every page of a list. `listTools()` of the SDK reads one, and refuses all for one bad output schema. */
async function listAll(
  client: Client,
  method: string,
  member: keyof Lists,
  timeoutMs: number,
): Promise<JsonObject[]> {
  const items: JsonObject[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < mostPages; page++) {
    const params = cursor === undefined ? {} : { cursor };
    // oxlint-disable-next-line no-await-in-loop -- each page names the next
    const result: JsonObject | undefined = await client
      .request({ method, params }, ResultSchema, { timeout: timeoutMs })
      .catch((error: unknown) => {
        // Servers announce resources and know no templates.
        if (codeOf(error) === methodNotFound) return undefined;
        throw error;
      });
    if (result === undefined) return items;
    const found = result[member];
    if (!Array.isArray(found))
      throw new Error(`${method}: expected a list "${member}", got ${JSON.stringify(found)}`);
    items.push(...found.filter(isObject));
    const next = result["nextCursor"];
    if (typeof next !== "string" || next === cursor) return items;
    cursor = next;
  }
  throw new Error(`${method}: more than ${mostPages} pages`);
}

const methodNotFound = -32601;
/** The SDK's own codes for a timeout or cancel, and for a connection that ended. */
const localCodes = [-32001, -32000];

const codeOf = (error: unknown): unknown => (isObject(error) ? error["code"] : undefined);

/** Whether the error is one that the server sent. */
const isAnswer = (error: unknown): boolean => {
  const code = codeOf(error);
  return typeof code === "number" && !localCodes.includes(code);
};

/** The client's own error, less what the SDK put before its message. */
const asWireError = (error: unknown): Error =>
  Object.assign(
    new Error(plainMessage(error)),
    isObject(error) && { code: error["code"], data: error["data"] },
  );

/** The SDK puts this before each message of an error, once for each hop. */
const prefix = /^(?:MCP error -?\d+: )+/;

/** The message of an error of the SDK, as the server wrote it. */
export const plainMessage = (error: unknown): string => messageOf(error).replace(prefix, "");
