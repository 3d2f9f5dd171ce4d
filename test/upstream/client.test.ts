import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import { expect, it } from "vitest";
import type { Call, JsonObject } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { cancelled } from "../../src/errors.ts";
import { Peers, PeerSlot, type Peer } from "../../src/peer.ts";
import { openSession } from "../../src/upstream/client.ts";
import { Link } from "../../src/upstream/link.ts";
import { call } from "../support/calls.ts";

const sayOn = (transport: Transport, message: JsonObject): void =>
  transport.onmessage?.({ jsonrpc: "2.0", ...message } as JSONRPCMessage);

/** A server that sends `notes` as soon as it is initialised. */
function serverWith(notes: readonly JsonObject[]): Transport {
  const say = (message: JsonObject): void => sayOn(transport, message);
  const transport: Transport = {
    start: () => Promise.resolve(),
    close: () => Promise.resolve(),
    async send(message) {
      const { id, method } = message as JsonObject;
      const serverInfo = { name: "fake", version: "1" };
      if (method === "initialize")
        say({ id, result: { protocolVersion: "2025-11-25", capabilities: {}, serverInfo } });
      else if (method === "notifications/initialized") for (const note of notes) say(note);
    },
  };
  return transport;
}

it("keeps the notifications that come before anybody listens, in order", async () => {
  const notes = ["tools", "prompts"].map((list) => ({
    method: `notifications/${list}/list_changed`,
  }));
  const asked = { peer: new PeerSlot({}), peers: new Peers() };
  const link = new Link("up", () => undefined);
  const session = await openSession("up", serverWith(notes), 1000, asked, link);
  await new Promise(setImmediate);
  const heard: string[] = [];
  session.onNotification((method) => heard.push(method));
  expect(heard).toEqual(notes.map(({ method }) => method));
});

it("tells what a server says at once, before the answer that comes behind it", async () => {
  const asked = { peer: new PeerSlot({}), peers: new Peers() };
  const link = new Link("up", () => undefined);
  const transport = serverWith([]);
  const session = await openSession("up", transport, 1000, asked, link);
  const heard: unknown[] = [];
  session.onNotification((method, params) => heard.push([method, params]));
  sayOn(transport, { method: "notifications/message", params: { level: "info" } });
  expect(heard).toEqual([["notifications/message", { level: "info" }]]);
  // These are about requests of the SDK's.
  sayOn(transport, { method: "notifications/cancelled", params: { requestId: 7 } });
  await new Promise(setImmediate);
  expect(heard).toHaveLength(1);
});

it("puts a question to no client while it may be about a call that another has taken back", async () => {
  const asked: string[] = [];
  const peers = new Peers();
  const clientOf = (name: string): Peer => ({
    capabilities: Promise.resolve({ roots: {} }),
    ask: () => {
      asked.push(name);
      return Promise.resolve({ roots: [] });
    },
  });
  for (const name of ["a", "b"]) peers.join(name, clientOf(name));
  const link = new Link("up", () => undefined);
  const transport = serverWith([]);
  await openSession("up", transport, 1000, { peer: clientOf("nobody"), peers }, link);
  const ask = async (id: number): Promise<void> => {
    sayOn(transport, { id, method: "roots/list" });
    await new Promise(setImmediate);
  };
  const signal = new Cancel();
  const callOf = (session: string): Call =>
    call({ signal, caller: { principal: "local", session, client: "" } });
  link.handle(callOf("a")).catch(() => {});
  await ask(1);
  signal.cancel(cancelled("enough"));
  link.handle({ ...callOf("b"), signal: new Cancel() }).catch(() => {});
  await ask(2);
  expect(asked).toEqual(["a", "nobody"]);
});
