import type { Handle, JsonObject, Lists, Watcher } from "../../src/call.ts";
import { Exchange, type RequestId } from "../../src/front/exchange.ts";
import { Stateless } from "../../src/front/stateless.ts";
import { Gateway } from "../../src/gateway.ts";
import { Peers, PeerSlot } from "../../src/peer.ts";
import { names, shelf, upstream } from "./calls.ts";

/** The `_meta` of a request without a session, of a client that can do this. */
export const metaOf = (capabilities: JsonObject = {}, more: JsonObject = {}): JsonObject => ({
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": capabilities,
  ...more,
});

/** A client that can be asked everything. */
export const able = { roots: {}, sampling: {}, elicitation: { form: {}, url: {} } };

export const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A request, and what came for it. */
export interface Sent {
  readonly exchange: Exchange;
  readonly notes: JsonObject[];
  /** The answer's result or error. */
  answer: JsonObject | undefined;
  /** Of the error, where it is told as a refusal. */
  code: number | undefined;
}

interface Options {
  readonly slot?: PeerSlot;
  readonly listed?: () => Promise<void>;
  /** Whether the upstream comes only with `connect`. */
  readonly later?: boolean;
}

/** A client without sessions over the upstream `up`, which has the tool `do` and the resource `x:1`. */
export function setUpStateless(handle: Handle, { later = false, ...options }: Options = {}) {
  let watcher: Watcher | undefined;
  let lists: Lists = {
    tools: [{ name: "do", inputSchema: { type: "object" } }],
    prompts: [{ name: "say" }],
    resources: [{ uri: "x:1" }],
    resourceTemplates: [],
  };
  const left: string[] = [];
  const up = upstream({
    handle,
    lists: () => lists,
    left: (session) => left.push(session),
    watch: (given) => (watcher = given),
  });
  const gateway = new Gateway(names);
  const connect = (): void => gateway.use([{ upstream: up, shelf: shelf("up"), stack: [] }], names);
  if (!later) connect();
  const problems: string[] = [];
  const peers = new Peers();
  const stateless = new Stateless(gateway, {
    principal: "local",
    session: "test",
    listed: () => Promise.resolve(),
    peers,
    ...options,
    onProblem: (problem) => problems.push(problem),
  });
  let count = 0;
  const send = (
    method: string,
    params: JsonObject = {},
    meta: JsonObject = metaOf(),
    id: RequestId = ++count,
  ): Sent => {
    const notes: JsonObject[] = [];
    const exchange = new Exchange(id, (_, line, last, code) => {
      const message = JSON.parse(line) as JsonObject;
      if (last) Object.assign(sent, { answer: message["result"] ?? message["error"], code });
      else notes.push(message);
    });
    const sent: Sent = { exchange, notes, answer: undefined, code: undefined };
    stateless.take({ jsonrpc: "2.0", id, method, params: { ...params, _meta: meta } }, exchange);
    return sent;
  };
  const setLists = (changed: Partial<Lists>): void => {
    lists = { ...lists, ...changed };
    watcher?.changed();
  };
  const notified = (method: string, params: JsonObject): void => watcher?.notified(method, params);
  return { stateless, send, connect, setLists, notified, left, peers, problems };
}
