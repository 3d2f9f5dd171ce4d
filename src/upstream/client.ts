/*
 * The SDK's side of an upstream: handshake, lists, notifications, and what the server asks of the client.
 * Calls do not come through here.
 */
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { ResultSchema, type ClientCapabilities } from "@modelcontextprotocol/sdk/types.js";
import type { JsonObject } from "../call.ts";
import { messageOf } from "../errors.ts";
import type { Peers, Peer } from "../peer.ts";
import { isQuestion } from "../questions.ts";
import { implementation } from "../version.ts";
import { isObject } from "../wire.ts";
import { aliveDuring } from "./alive.ts";
import type { ServerInfo, Session } from "./connection.ts";
import type { Link } from "./link.ts";
import { listPages } from "./list-pages.ts";
import { Notifications } from "./notifications.ts";

/** Whom a server may ask. */
export interface Asked {
  /** Who is there whatever is under way; what it can do is what the server is told. */
  readonly peer: Peer;
  readonly peers: Peers;
  /** Told when a server has asked something that only the calls under way tell whom. */
  readonly onAsked?: () => void;
}

/** Notifications about requests that the SDK has sent, or answers. */
const ofTheSdk = new Set(["notifications/cancelled", "notifications/progress"]);

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
  const notifications = new Notifications();
  const { onmessage } = transport;
  // Past the SDK, which hands them on only when the call that they are about may have been answered.
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- it is no EventTarget
  transport.onmessage = (message, extra) => {
    onmessage?.(message, extra);
    if ("method" in message && !("id" in message) && !ofTheSdk.has(message.method))
      notifications.tell(message.method, message.params ?? {}, link.aboutOf(message));
  };
  client.fallbackRequestHandler = ({ method, params }, { signal, requestId }) => {
    const caller = link.askedOf(requestId);
    const found = caller === undefined ? peers.only(link.suspects()) : peers.of(caller);
    if (caller === undefined && isQuestion(method)) onAsked?.();
    const asked = (found ?? peer).ask(upstream, method, params ?? {}, signal);
    return aliveDuring(() => link.alive(), asked).catch((error: unknown) =>
      Promise.reject(asWireError(error)),
    );
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
    // `listTools()` of the SDK reads one page, and refuses all tools for one bad output schema.
    list: (list, limit) =>
      listPages(list, capabilities, (method, params) =>
        client.request({ method, params }, ResultSchema, { timeout: limit }).catch(unlessUnknown),
      ),
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
    onNotification: (listener) => notifications.listen(listener),
  };
}

const methodNotFound = -32601;

/** Servers announce resources and know no templates. */
function unlessUnknown(error: unknown): undefined {
  if (codeOf(error) !== methodNotFound) throw error;
}

/** The SDK's own codes for a timeout or cancel, and for a connection that ended. */
const localCodes = [-32001, -32000];

const codeOf = (error: unknown): unknown => (isObject(error) ? error["code"] : undefined);

/** Whether the error is one that the server sent. */
export const isAnswer = (error: unknown): boolean => {
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
