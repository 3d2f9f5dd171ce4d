// Payments: charges of orders, and refunds. Some charges are declined:
//   PAYMENT_DECLINES=N  share of the charges that are declined, from 0 to 1; default 0.05
//   SEED=N              declines the same ones in each life of the process
import process from "node:process";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import * as z from "zod";
import { Ledger, Refused } from "./ledger.mjs";
import { answer, changes, creates, key, reads, serve } from "./tools.mjs";

const declines = Number(process.env["PAYMENT_DECLINES"] || 0.05);
const seed = process.env["SEED"];
const random = seed ? seeded(Number(seed)) : Math.random;

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
function seeded(from) {
  let state = from;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** By id. */
const charges = new Map();

const ledger = new Ledger("payments", {
  charge:
    ({ id, arguments: { orderId, amountUsd } }) =>
    () =>
      charges.set(id, { chargeId: id, orderId, amountUsd, state: "charged" }),
  refund({ arguments: { chargeId } }) {
    const found = charges.get(chargeId);
    if (found === undefined) throw new Refused(`no such charge: ${chargeId}`);
    return found.state === "refunded" ? undefined : () => (found.state = "refunded");
  },
});

const server = new McpServer({ name: "payments", version: "1.0.0" });
const charge = {
  chargeId: z.string(),
  orderId: z.string(),
  amountUsd: z.number(),
  state: z.enum(["charged", "refunded"]),
};

server.registerTool(
  "charge",
  {
    description: "Charges the customer's card for an order. Some cards are declined.",
    inputSchema: { orderId: z.string().min(1), amountUsd: z.number().positive(), key },
    outputSchema: charge,
    annotations: creates,
  },
  async (given, extra) => {
    const { id } = await ledger.perform("charge", given, extra, () => {
      if (random() < declines) throw new Refused("card declined");
    });
    return answer(charges.get(id));
  },
);

server.registerTool(
  "refund",
  {
    description: "Gives the money of a charge back.",
    inputSchema: { chargeId: z.string() },
    outputSchema: charge,
    annotations: changes,
  },
  async (given, extra) => {
    await ledger.perform("refund", given, extra);
    return answer(charges.get(given.chargeId));
  },
);

server.registerTool(
  "get_charge",
  {
    description:
      "Finds a charge by the key that it was made with, or the latest one of an order, first of all one that is not refunded.",
    inputSchema: { orderId: z.string().optional(), key },
    outputSchema: { found: z.boolean(), charge: z.object(charge).nullable() },
    annotations: reads,
  },
  (given) => {
    if (given.orderId === undefined && given.key === undefined)
      throw new Refused("give orderId or key");
    ledger.read();
    const found = given.key === undefined ? latestOf(given.orderId) : byKey(given.key);
    return answer({ found: found !== undefined, charge: found ?? null });
  },
);

const byKey = (wanted) => charges.get(ledger.byKey("charge", wanted)?.id);

function latestOf(orderId) {
  const all = [...charges.values()].filter((each) => each.orderId === orderId);
  return all.findLast(({ state }) => state === "charged") ?? all.at(-1);
}

await serve(server);
