// Inventory: reservations of what is in stock.
//   STOCK={"apple":1000}  quantities by SKU, before anything is reserved
import process from "node:process";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import * as z from "zod";
import { Ledger, Refused } from "./ledger.mjs";
import { answer, changes, creates, items, key, reads, serve } from "./tools.mjs";

const stock = new Map(
  Object.entries(JSON.parse(process.env["STOCK"] || '{"apple":1000,"pear":500,"melon":0}')),
);

/** By id. */
const reservations = new Map();

const ledger = new Ledger("inventory", {
  reserve({ id, arguments: { orderId, items: wanted } }) {
    const left = new Map(stock);
    for (const { sku, quantity } of wanted) {
      left.set(sku, (left.get(sku) ?? 0) - quantity);
      if (left.get(sku) < 0) throw new Refused(`out of stock: ${sku}`);
    }
    return () => {
      for (const [sku, available] of left) stock.set(sku, available);
      reservations.set(id, { reservationId: id, orderId, items: wanted, state: "reserved" });
    };
  },
  release({ arguments: { reservationId } }) {
    const found = reservations.get(reservationId);
    if (found === undefined) throw new Refused(`no such reservation: ${reservationId}`);
    if (found.state === "released") return undefined;
    return () => {
      for (const { sku, quantity } of found.items) stock.set(sku, stock.get(sku) + quantity);
      found.state = "released";
    };
  },
});

const server = new McpServer({ name: "inventory", version: "1.0.0" });
const reservation = {
  reservationId: z.string(),
  orderId: z.string(),
  items,
  state: z.enum(["reserved", "released"]),
};

server.registerTool(
  "reserve",
  {
    description: "Reserves all items of an order, or none where one of them is out of stock.",
    inputSchema: { orderId: z.string().min(1), items, key },
    outputSchema: reservation,
    annotations: creates,
  },
  async (given, extra) => {
    const { id } = await ledger.perform("reserve", given, extra);
    return answer(reservations.get(id));
  },
);

server.registerTool(
  "release",
  {
    description: "Puts what was reserved back into stock.",
    inputSchema: { reservationId: z.string() },
    outputSchema: reservation,
    annotations: changes,
  },
  async (given, extra) => {
    await ledger.perform("release", given, extra);
    return answer(reservations.get(given.reservationId));
  },
);

server.registerTool(
  "get_reservation",
  {
    description: "Finds a reservation by the key that it was made with.",
    inputSchema: { key: z.string().min(1) },
    outputSchema: { found: z.boolean(), reservation: z.object(reservation).nullable() },
    annotations: reads,
  },
  (given) => {
    ledger.read();
    const found = reservations.get(ledger.byKey("reserve", given.key)?.id);
    return answer({ found: found !== undefined, reservation: found ?? null });
  },
);

server.registerTool(
  "stock",
  {
    description: "Tells what is left, less what is reserved.",
    inputSchema: {},
    outputSchema: { items: z.array(z.object({ sku: z.string(), available: z.int() })) },
    annotations: reads,
  },
  () => {
    ledger.read();
    return answer({ items: [...stock].map(([sku, available]) => ({ sku, available })) });
  },
);

await serve(server);
