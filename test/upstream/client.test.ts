import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import { expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { Peers, PeerSlot } from "../../src/peer.ts";
import { openSession } from "../../src/upstream/client.ts";
import { Link } from "../../src/upstream/link.ts";

/** A server that sends `notes` as soon as it is initialised. */
function serverWith(notes: readonly JsonObject[]): Transport {
  const say = (message: JsonObject): void =>
    transport.onmessage?.({ jsonrpc: "2.0", ...message } as JSONRPCMessage);
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
