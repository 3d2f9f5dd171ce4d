import { expect, it } from "vitest";
import type { Call, JsonObject } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { cancelled } from "../../src/errors.ts";
import { Peers, PeerSlot, type Peer } from "../../src/peer.ts";
import { openSession, type OlderWire } from "../../src/upstream/client.ts";
import { Link } from "../../src/upstream/link.ts";
import { OwnRequests } from "../../src/upstream/own-requests.ts";
import { call } from "../support/calls.ts";

/** A server that sends `notes` as soon as it is initialised. */
function serverWith(notes: readonly JsonObject[]) {
  let take = (_message: JsonObject): void => {};
  const say = (message: JsonObject): void => take({ jsonrpc: "2.0", ...message });
  const sent: JsonObject[] = [];
  const send = (message: JsonObject): undefined => {
    sent.push(message);
    const { id, method } = message;
    const serverInfo = { name: "fake", version: "1" };
    if (method === "initialize")
      say({ id, result: { protocolVersion: "2025-11-25", capabilities: {}, serverInfo } });
  };
  const wire: OlderWire = {
    send,
    calls: new Link("up", () => undefined),
    own: new OwnRequests("up", send),
    listen: (given) => (take = given),
    async initialized() {
      for (const note of notes) say(note);
    },
  };
  return { wire, say, sent };
}

it("keeps the notifications that come before anybody listens, in order", async () => {
  const notes = ["tools", "prompts"].map((list) => ({
    method: `notifications/${list}/list_changed`,
  }));
  const asked = { peer: new PeerSlot({}), peers: new Peers() };
  const session = await openSession("up", serverWith(notes).wire, 1000, asked);
  await new Promise(setImmediate);
  const heard: string[] = [];
  session.onNotification((method) => heard.push(method));
  expect(heard).toEqual(notes.map(({ method }) => method));
});

it("tells what a server says at once, before the answer that comes behind it", async () => {
  const asked = { peer: new PeerSlot({}), peers: new Peers() };
  const { wire, say } = serverWith([]);
  const session = await openSession("up", wire, 1000, asked);
  const heard: unknown[] = [];
  session.onNotification((method, params) => heard.push([method, params]));
  say({ method: "notifications/message", params: { level: "info" } });
  expect(heard).toEqual([["notifications/message", { level: "info" }]]);
  // These are about requests.
  say({ method: "notifications/cancelled", params: { requestId: 7 } });
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
  const { wire, say } = serverWith([]);
  await openSession("up", wire, 1000, { peer: clientOf("nobody"), peers });
  const link = wire.calls;
  const ask = async (id: number): Promise<void> => {
    say({ id, method: "roots/list" });
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

it("answers a ping at once, and a question with what the client says", async () => {
  const { wire, say, sent } = serverWith([]);
  const error = Object.assign(new Error("no"), { code: -1, data: [1] });
  const peer = { capabilities: Promise.resolve({}), ask: () => Promise.reject(error) };
  const opening = openSession("up", wire, 1000, { peer, peers: new Peers() });
  await Promise.resolve();
  say({ id: "p", method: "ping" });
  await opening;
  say({ id: 1, method: "roots/list" });
  await new Promise(setImmediate);
  expect(sent.slice(-2)).toEqual([
    { jsonrpc: "2.0", id: "p", result: {} },
    { jsonrpc: "2.0", id: 1, error: { code: -1, message: "no", data: [1] } },
  ]);
});

it("answers no question that its server has taken back, and tells the client", async () => {
  const { wire, say, sent } = serverWith([]);
  let signal: AbortSignal | undefined;
  const peer: Peer = {
    capabilities: Promise.resolve({}),
    ask(_upstream, _method, _params, given) {
      signal = given;
      return new Promise((_, reject) =>
        given.addEventListener("abort", () => reject(given.reason)),
      );
    },
  };
  await openSession("up", wire, 1000, { peer, peers: new Peers() });
  say({ id: 1, method: "roots/list" });
  say({ method: "notifications/cancelled", params: { requestId: 1, reason: "enough" } });
  await new Promise(setImmediate);
  expect(signal?.reason).toMatchObject({ message: "enough" });
  expect(sent.filter(({ id }) => id === 1)).toEqual([]);
});

it("refuses a server that speaks no version that we speak", async () => {
  const { wire, say } = serverWith([]);
  const send = ({ id }: JsonObject): undefined => {
    say({ id, result: { protocolVersion: "1999" } });
  };
  const own = new OwnRequests("up", send);
  const asked = { peer: new PeerSlot({}), peers: new Peers() };
  await expect(openSession("up", { ...wire, own }, 1000, asked)).rejects.toThrow(/1999/);
});
