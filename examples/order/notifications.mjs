// Notifications: messages to customers, which nobody can take back.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import * as z from "zod";
import { Ledger } from "./ledger.mjs";
import { answer, creates, key, reads, serve } from "./tools.mjs";

/** By id. */
const messages = new Map();

const ledger = new Ledger("notifications", {
  send:
    ({ id, arguments: { to, text } }) =>
    () =>
      messages.set(id, { id, to, text }),
});

const server = new McpServer({ name: "notifications", version: "1.0.0" });
const message = { id: z.string(), to: z.string(), text: z.string() };

server.registerTool(
  "send",
  {
    description: "Sends a message.",
    inputSchema: { to: z.string().min(1), text: z.string().min(1), key },
    outputSchema: message,
    annotations: creates,
  },
  async (given, extra) => {
    const { id } = await ledger.perform("send", given, extra);
    return answer(messages.get(id));
  },
);

server.registerTool(
  "list",
  {
    description: "Lists all messages that were sent, or only the one that has a key.",
    inputSchema: { key },
    outputSchema: { messages: z.array(z.object(message)) },
    annotations: reads,
  },
  (given) => {
    ledger.read();
    if (given.key === undefined) return answer({ messages: [...messages.values()] });
    const found = messages.get(ledger.byKey("send", given.key)?.id);
    return answer({ messages: found === undefined ? [] : [found] });
  },
);

await serve(server);
