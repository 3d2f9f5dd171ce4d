import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../src/call.ts";
import { root } from "./gateway.ts";

/** The servers of examples/order. */
export const orderServers = ["orders", "payments", "inventory", "notifications"] as const;
export type OrderServer = (typeof orderServers)[number];

/** Environment variables of single servers. */
export type OrderEnvironments = Partial<Record<OrderServer, Readonly<Record<string, string>>>>;

export const orderFolder = join(root, "examples/order");

/** The example's config, with its ledgers in `ledgers`. No card is declined unless `environments` says so. */
export function orderConfig(ledgers: string, environments: OrderEnvironments = {}): JsonObject {
  const file = readFileSync(join(orderFolder, "servers.json"), "utf8");
  const { $schema: _, events: __, ...config } = JSON.parse(file) as JsonObject;
  const server = (name: OrderServer): JsonObject => ({
    command: process.execPath,
    args: [join(orderFolder, `${name}.mjs`)],
    env: { LEDGER_DIR: ledgers, PAYMENT_DECLINES: "0", ...environments[name] },
  });
  return {
    ...config,
    mcpServers: Object.fromEntries(orderServers.map((name) => [name, server(name)])),
  };
}

/** A line of a ledger: something that a server has done. */
export interface LedgerEntry {
  readonly id: string;
  readonly time: string;
  readonly tool: string;
  readonly arguments: JsonObject;
  readonly idempotencyKey?: string;
}

/** What a server has done, in order. */
export function ledgerOf(ledgers: string, name: OrderServer): LedgerEntry[] {
  const file = join(ledgers, `${name}.jsonl`);
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as LedgerEntry);
}
