import { randomUUID } from "node:crypto";
import { EngineRunStore } from "../../../src/stores/runs/engine-run-store.ts";
import { newToken } from "../../../src/stores/runs/owner.ts";
import type { Database } from "../../../src/stores/runs/database.ts";
import type { NewRun } from "../../../src/workflows/run-store.ts";

/** A run as it begins, of a definition of its own. */
export const newRun = (over: Partial<NewRun> = {}): NewRun => ({
  name: `order-${randomUUID()}`,
  kind: "saga",
  definition: { steps: [{ id: "charge", tool: "pay__charge" }] },
  version: "v1",
  input: { amount: 12 },
  event: null,
  caller: { principal: "anna", session: "s1", client: "test 1.0" },
  trace: "0af7651916cd43dd8448eb211c80319c",
  tools: { pay__charge: "hash" },
  ...over,
});

/** A store in this thread. */
export const storeOn = (database: Database, leaseMs = 30_000): EngineRunStore =>
  new EngineRunStore(database, newToken(), leaseMs);

export const lost = { name: "LeaseLost" };
export const failed = { name: "StoreFailed" };
