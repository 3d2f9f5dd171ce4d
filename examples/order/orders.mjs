// Orders: created, then shipped or cancelled.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import * as z from "zod";
import { Ledger, Refused } from "./ledger.mjs";
import { answer, changes, creates, items, key, reads, serve } from "./tools.mjs";

const pricesUsd = new Map([
  ["apple", 0.5],
  ["pear", 0.75],
  ["melon", 3],
]);

/** By id. */
const orders = new Map();

const ledger = new Ledger("orders", {
  create_order({ id, arguments: { customer, items: wanted } }) {
    const totalUsd = total(wanted);
    return () => orders.set(id, { id, customer, items: wanted, totalUsd, state: "created" });
  },
  cancel_order: ({ arguments: { id } }) => move(id, "cancelled"),
  ship_order: ({ arguments: { id } }) => move(id, "shipped"),
});

function total(wanted) {
  const cents = wanted.map(({ sku, quantity }) => {
    const price = pricesUsd.get(sku);
    if (price === undefined) throw new Refused(`no such SKU: ${sku}`);
    return price * 100 * quantity;
  });
  return cents.reduce((sum, each) => sum + each, 0) / 100;
}

/** Only an order that is neither shipped nor cancelled can become so. */
function move(id, state) {
  const order = orders.get(id);
  if (order === undefined) throw new Refused(`no such order: ${id}`);
  if (order.state === state) return undefined;
  if (order.state !== "created") throw new Refused(`the order is ${order.state} already: ${id}`);
  return () => (order.state = state);
}

const server = new McpServer({ name: "orders", version: "1.0.0" });
const order = {
  id: z.string(),
  customer: z.string(),
  items,
  totalUsd: z.number(),
  state: z.enum(["created", "shipped", "cancelled"]),
};

server.registerTool(
  "create_order",
  {
    description: "Creates an order. Prices are those of the shop.",
    inputSchema: { customer: z.string().min(1), items, key },
    outputSchema: order,
    annotations: creates,
  },
  async (given, extra) => {
    const { id } = await ledger.perform("create_order", given, extra);
    return answer(orders.get(id));
  },
);

for (const [tool, description] of [
  ["cancel_order", "Cancels an order that is not shipped."],
  ["ship_order", "Ships an order that is not cancelled. It cannot be cancelled any more."],
]) {
  server.registerTool(
    tool,
    { description, inputSchema: { id: z.string() }, outputSchema: order, annotations: changes },
    async (given, extra) => {
      await ledger.perform(tool, given, extra);
      return answer(orders.get(given.id));
    },
  );
}

server.registerTool(
  "get_order",
  {
    description: "Finds an order by its id, or by the key that it was created with.",
    inputSchema: { id: z.string().optional(), key },
    outputSchema: { found: z.boolean(), order: z.object(order).nullable() },
    annotations: reads,
  },
  (given) => {
    if (given.id === undefined && given.key === undefined) throw new Refused("give id or key");
    ledger.read();
    const id = given.id ?? ledger.byKey("create_order", given.key)?.id;
    const found = orders.get(id);
    return answer({ found: found !== undefined, order: found ?? null });
  },
);

server.registerTool(
  "list_orders",
  {
    description: "Lists all orders.",
    inputSchema: {},
    outputSchema: { orders: z.array(z.object(order)) },
    annotations: reads,
  },
  () => {
    ledger.read();
    return answer({ orders: [...orders.values()] });
  },
);

await serve(server);
