import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { afterEach, describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { sleep } from "../../src/time.ts";
import { startGateway, temporaryFolder } from "../support/gateway.ts";
import { ledgerOf, orderConfig, orderFolder } from "../support/order.ts";
import type { OrderServer } from "../support/order.ts";

const soon = { timeout: 20_000 };
const clients: Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

interface Started {
  readonly client: Client;
  readonly pid: number;
  /** What a tool answers; what it refuses is thrown. */
  readonly call: (tool: string, args?: JsonObject, meta?: JsonObject) => Promise<JsonObject>;
}

/** One of the servers, with its ledger in `folder`. The client checks each answer against the output schema. */
async function start(
  name: OrderServer,
  folder: string,
  env: Record<string, string> = {},
): Promise<Started> {
  const client = new Client({ name: "test", version: "1" });
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [join(orderFolder, `${name}.mjs`)],
    env: { PAYMENT_DECLINES: "0", ...env, LEDGER_DIR: folder },
  });
  await client.connect(transport);
  clients.push(client);
  await client.listTools();
  const call = async (tool: string, args: JsonObject = {}, meta: JsonObject = {}) => {
    const result = await client.callTool({ name: tool, arguments: args, _meta: meta });
    const [{ text }] = result.content as [{ text: string }];
    if (result.isError === true) throw new Error(text);
    expect(JSON.parse(text)).toEqual(result.structuredContent);
    return result.structuredContent as JsonObject;
  };
  return { client, pid: transport.pid ?? 0, call };
}

const apples = (quantity: number): JsonObject => ({ items: [{ sku: "apple", quantity }] });
const order = (customer: string, more: JsonObject = {}): JsonObject => ({
  customer,
  ...apples(2),
  ...more,
});
const fulfilled = (outcomes: readonly PromiseSettledResult<unknown>[]): number =>
  outcomes.filter(({ status }) => status === "fulfilled").length;

describe("orders", () => {
  it("creates an order at the shop's prices and finds it by id and key", async () => {
    const { call } = await start("orders", temporaryFolder());
    const created = await call("create_order", {
      customer: "Ada",
      items: [
        { sku: "apple", quantity: 3 },
        { sku: "pear", quantity: 1 },
      ],
      key: "k1",
    });
    expect(created).toMatchObject({ customer: "Ada", totalUsd: 2.25, state: "created" });
    const found = { found: true, order: created };
    expect(await call("get_order", { id: created["id"] })).toEqual(found);
    expect(await call("get_order", { key: "k1" })).toEqual(found);
    expect(await call("get_order", { key: "k2" })).toEqual({ found: false, order: null });
    expect(await call("list_orders")).toEqual({ orders: [created] });
    await expect(call("get_order")).rejects.toThrow("give id or key");
  });

  it("cancels and ships once, and never both", async () => {
    const folder = temporaryFolder();
    const { call } = await start("orders", folder);
    const { id: shipped } = await call("create_order", order("Ada"));
    const { id: cancelled } = await call("create_order", order("Bob"));
    for (const _ of [1, 2]) {
      expect(await call("ship_order", { id: shipped })).toMatchObject({ state: "shipped" });
      expect(await call("cancel_order", { id: cancelled })).toMatchObject({ state: "cancelled" });
    }
    await expect(call("cancel_order", { id: shipped })).rejects.toThrow("is shipped already");
    await expect(call("ship_order", { id: cancelled })).rejects.toThrow("is cancelled already");
    await expect(call("ship_order", { id: "x" })).rejects.toThrow("no such order: x");
    expect(ledgerOf(folder, "orders").map(({ tool }) => tool)).toEqual([
      "create_order",
      "create_order",
      "ship_order",
      "cancel_order",
    ]);
  });

  it("refuses what it does not sell, and notes nothing", async () => {
    const folder = temporaryFolder();
    const { call } = await start("orders", folder);
    const rocket = { customer: "Ada", items: [{ sku: "rocket", quantity: 1 }] };
    await expect(call("create_order", rocket)).rejects.toThrow("no such SKU: rocket");
    await expect(call("create_order", order("Ada", { items: [] }))).rejects.toThrow(/items/);
    expect(ledgerOf(folder, "orders")).toEqual([]);
  });
});

describe("payments", () => {
  it("charges, finds and refunds", async () => {
    const folder = temporaryFolder();
    const { call } = await start("payments", folder);
    const charged = await call("charge", { orderId: "o1", amountUsd: 5, key: "k1" });
    const { chargeId } = charged;
    expect(charged).toEqual({ chargeId, orderId: "o1", amountUsd: 5, state: "charged" });
    expect(await call("get_charge", { key: "k1" })).toEqual({ found: true, charge: charged });
    expect(await call("get_charge", { orderId: "o2" })).toEqual({ found: false, charge: null });
    for (const _ of [1, 2])
      expect(await call("refund", { chargeId })).toEqual({ ...charged, state: "refunded" });
    expect(ledgerOf(folder, "payments").map(({ tool }) => tool)).toEqual(["charge", "refund"]);
    const again = await call("charge", { orderId: "o1", amountUsd: 6 });
    await call("charge", { orderId: "o1", amountUsd: 7 }).then(({ chargeId: id }) =>
      call("refund", { chargeId: id }),
    );
    expect(await call("get_charge", { orderId: "o1" })).toEqual({ found: true, charge: again });
    await expect(call("refund", { chargeId: "x" })).rejects.toThrow("no such charge: x");
  });

  it("declines one card in twenty, the same ones for the same seed", async () => {
    const outcomes = async (seed: string): Promise<boolean[]> => {
      const folder = temporaryFolder();
      const { call } = await start("payments", folder, { SEED: seed, PAYMENT_DECLINES: "" });
      const declined: boolean[] = [];
      for (let n = 0; n < 400; n++) {
        const charge = call("charge", { orderId: `o${n}`, amountUsd: 1 });
        declined.push(
          await charge.then(
            () => false,
            (error: Error) => error.message === "card declined",
          ),
        );
      }
      const accepted = declined.filter((each) => !each).length;
      expect(ledgerOf(folder, "payments")).toHaveLength(accepted);
      return declined;
    };
    const [first, same, other] = await Promise.all(["7", "7", "8"].map(outcomes));
    expect(first).toEqual(same);
    expect(first).not.toEqual(other);
    const ratio = (first?.filter(Boolean).length ?? 0) / 400;
    expect(ratio).toBeGreaterThan(0.02);
    expect(ratio).toBeLessThan(0.09);
  });

  it("declines every card where it is told to", async () => {
    const folder = temporaryFolder();
    const { call } = await start("payments", folder, { PAYMENT_DECLINES: "1" });
    for (let n = 0; n < 5; n++)
      await expect(call("charge", { orderId: "o", amountUsd: 1 })).rejects.toThrow("card declined");
    expect(ledgerOf(folder, "payments")).toEqual([]);
  });
});

describe("inventory", () => {
  it("reserves, finds and releases", async () => {
    const folder = temporaryFolder();
    const { call } = await start("inventory", folder);
    const reserved = await call("reserve", { orderId: "o1", ...apples(3), key: "k1" });
    const { reservationId } = reserved;
    expect(await call("stock")).toMatchObject({
      items: [{ sku: "apple", available: 997 }, {}, {}],
    });
    expect(await call("get_reservation", { key: "k1" })).toEqual({
      found: true,
      reservation: reserved,
    });
    for (const _ of [1, 2])
      expect(await call("release", { reservationId })).toMatchObject({ state: "released" });
    expect(await call("stock")).toEqual({
      items: [
        { sku: "apple", available: 1000 },
        { sku: "pear", available: 500 },
        { sku: "melon", available: 0 },
      ],
    });
    await expect(call("release", { reservationId: "x" })).rejects.toThrow("no such reservation: x");
  });

  it("reserves all of an order or nothing", async () => {
    const folder = temporaryFolder();
    const { call } = await start("inventory", folder, { STOCK: '{"apple":5,"melon":0}' });
    const reserve = (...items: [sku: string, quantity: number][]) =>
      call("reserve", {
        orderId: "o",
        items: items.map(([sku, quantity]) => ({ sku, quantity })),
      });
    await expect(reserve(["apple", 1], ["melon", 1])).rejects.toThrow("out of stock: melon");
    await expect(reserve(["rocket", 1])).rejects.toThrow("out of stock: rocket");
    await expect(reserve(["apple", 3], ["apple", 3])).rejects.toThrow("out of stock: apple");
    expect(ledgerOf(folder, "inventory")).toEqual([]);
    await reserve(["apple", 3], ["apple", 2]);
    expect(await call("stock")).toMatchObject({ items: [{ available: 0 }, { available: 0 }] });
  });
});

describe("notifications", () => {
  it("sends as often as it is asked to, and lists", async () => {
    const { call } = await start("notifications", temporaryFolder());
    const first = await call("send", { to: "ada@example.com", text: "on its way", key: "k1" });
    const second = await call("send", { to: "ada@example.com", text: "on its way" });
    expect(await call("list")).toEqual({ messages: [first, second] });
    expect(await call("list", { key: "k1" })).toEqual({ messages: [first] });
    expect(await call("list", { key: "k2" })).toEqual({ messages: [] });
  });
});

describe("a ledger", () => {
  it("notes time, tool, arguments and the key that the gateway sends", async () => {
    const folder = temporaryFolder();
    const { call } = await start("payments", folder);
    const given = { orderId: "o1", amountUsd: 5 };
    const meta = { "holdfast/idempotency-key": "run-1:payment" };
    const charged = await call("charge", given, meta);
    const [entry] = ledgerOf(folder, "payments");
    expect(entry).toEqual({
      id: charged["chargeId"],
      time: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      tool: "charge",
      arguments: given,
      idempotencyKey: "run-1:payment",
    });
    expect(await call("get_charge", { key: "run-1:payment" })).toMatchObject({ found: true });
  });

  it.each([
    ["in the arguments", { key: "k1" }, {}],
    ["beside them", {}, { "holdfast/idempotency-key": "k1" }],
  ])("shows what is done twice for one key %s, unless keys are honoured", async (_, args, meta) => {
    for (const [honour, times] of [
      ["0", 2],
      ["1", 1],
    ] as const) {
      const folder = temporaryFolder();
      const env = { HONOUR_KEYS: honour };
      const one = await start("orders", folder, env);
      const two = await start("orders", folder, env);
      const first = await one.call("create_order", order("Ada", args), meta);
      const second = await two.call("create_order", order("Ada", args), meta);
      expect(second["id"] === first["id"]).toBe(honour === "1");
      expect(ledgerOf(folder, "orders")).toHaveLength(times);
      const { orders } = await one.call("list_orders");
      expect(orders).toHaveLength(times);
    }
  });

  it("gives the first answer to a key that several processes have in hand", async () => {
    const folder = temporaryFolder();
    const env = { HONOUR_KEYS: "1" };
    const servers = await Promise.all([1, 2, 3].map(() => start("orders", folder, env)));
    for (let n = 0; n < 20; n++) {
      const create = ({ call }: Started) => call("create_order", order("Ada", { key: `k${n}` }));
      const ids = (await Promise.all(servers.map(create))).map(({ id }) => id);
      expect(new Set(ids).size).toBe(1);
    }
    for (const { call } of servers) {
      const { orders } = await call("list_orders");
      expect(orders).toHaveLength(20);
    }
  });

  it("has all that was answered, whenever the server is killed", async () => {
    const folder = temporaryFolder();
    const answered: unknown[] = [];
    for (let life = 0; life < 10; life++) {
      const { call, client, pid } = await start("orders", folder);
      const calls = Array.from({ length: 50 }, async () => {
        const { id } = await call("create_order", order("Ada"));
        answered.push(id);
      });
      await sleep(life * 10);
      process.kill(pid, "SIGKILL");
      await Promise.allSettled(calls);
      await client.close();
    }
    const noted = ledgerOf(folder, "orders").map(({ id }) => id);
    expect(answered.length).toBeGreaterThan(0);
    expect(new Set(noted).size).toBe(noted.length);
    expect(noted).toEqual(expect.arrayContaining(answered));
    const { call } = await start("orders", folder);
    const { orders } = (await call("list_orders")) as { orders: { id: string }[] };
    expect(orders.map(({ id }) => id)).toEqual(noted);
  });

  it("leaves out what a killed process has half written", async () => {
    const folder = temporaryFolder();
    const first = await start("orders", folder);
    const { id: before } = await first.call("create_order", order("Ada"));
    appendFileSync(join(folder, "orders.jsonl"), '{"id":"half","tool":"create_or');
    const { id: after } = await first.call("create_order", order("Bob"));
    const second = await start("orders", folder);
    for (const { call } of [first, second]) {
      expect(await call("list_orders")).toMatchObject({ orders: [{ id: before }, { id: after }] });
    }
  });

  it("lets two processes sell no more than there is", async () => {
    const folder = temporaryFolder();
    const env = { STOCK: '{"apple":25}' };
    const servers = await Promise.all([
      start("inventory", folder, env),
      start("inventory", folder, env),
    ]);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 40 }, (_, n) => n).flatMap((n) =>
        servers.map(({ call }) => call("reserve", { orderId: `o${n}`, ...apples(1) })),
      ),
    );
    expect(fulfilled(outcomes)).toBe(25);
    for (const { call } of servers)
      expect(await call("stock")).toEqual({ items: [{ sku: "apple", available: 0 }] });
  });

  it("lets an order be shipped by one process or cancelled by another", async () => {
    const folder = temporaryFolder();
    const [one, two] = await Promise.all([start("orders", folder), start("orders", folder)]);
    for (let n = 0; n < 30; n++) {
      const { id } = await one.call("create_order", order("Ada"));
      const outcomes = await Promise.allSettled([
        one.call("ship_order", { id }),
        two.call("cancel_order", { id }),
      ]);
      expect(fulfilled(outcomes)).toBe(1);
      const state = outcomes[0].status === "fulfilled" ? "shipped" : "cancelled";
      for (const { call } of [one, two])
        expect(await call("get_order", { id })).toMatchObject({ order: { state } });
    }
  });
});

describe("faults", () => {
  it("end the process after an effect, once", async () => {
    const folder = temporaryFolder();
    const env = { CRASH_AFTER_EFFECT: "2" };
    const first = await start("payments", folder, env);
    await first.call("charge", { orderId: "o1", amountUsd: 1 });
    await expect(first.call("charge", { orderId: "o2", amountUsd: 1 })).rejects.toThrow(/closed/i);
    expect(ledgerOf(folder, "payments")).toHaveLength(2);
    const second = await start("payments", folder, env);
    expect(await second.call("get_charge", { orderId: "o2" })).toMatchObject({ found: true });
    await second.call("charge", { orderId: "o3", amountUsd: 1 });
    expect(ledgerOf(folder, "payments")).toHaveLength(3);
  });

  it("delay an effect, which happens although the caller has gone", async () => {
    const folder = temporaryFolder();
    const { client } = await start("payments", folder, { DELAY_MS: "1000" });
    const given = { name: "charge", arguments: { orderId: "o1", amountUsd: 1 } };
    const call = client.callTool(given, undefined, { timeout: 50 });
    await expect(call).rejects.toThrow(/timed out/);
    expect(ledgerOf(folder, "payments")).toEqual([]);
    await expect.poll(() => ledgerOf(folder, "payments"), soon).toHaveLength(1);
  });

  it("delay the answer to an effect that has happened", async () => {
    const folder = temporaryFolder();
    const { call } = await start("payments", folder, { DELAY_AFTER_MS: "2000" });
    let answered = false;
    const charge = call("charge", { orderId: "o1", amountUsd: 1 }).then(() => (answered = true));
    await expect.poll(() => ledgerOf(folder, "payments"), soon).toHaveLength(1);
    expect(answered).toBe(false);
    await charge;
  });
});

it("the four servers work behind the gateway, with the effects that they tell", async () => {
  const folder = temporaryFolder();
  const client = startGateway(orderConfig(folder, { payments: { PAYMENT_DECLINES: "1" } }));
  await client.initialize();
  const tools = (await client.tools()) as { name: string; annotations?: JsonObject }[];
  const hinted = (hint: string): string[] =>
    tools.filter(({ annotations }) => annotations?.[hint] === true).map(({ name }) => name);
  expect(hinted("readOnlyHint").filter((name) => !name.startsWith("holdfast"))).toEqual([
    "orders__get_order",
    "orders__list_orders",
    "payments__get_charge",
    "inventory__get_reservation",
    "inventory__stock",
    "notifications__list",
  ]);
  expect(hinted("idempotentHint").filter((name) => !name.startsWith("holdfast"))).toEqual([
    "orders__cancel_order",
    "orders__ship_order",
    "payments__refund",
    "inventory__release",
  ]);
  await client.call("orders__create_order", order("Ada"));
  expect(ledgerOf(folder, "orders")).toMatchObject([{ arguments: { customer: "Ada" } }]);
  const declined = await client.call("payments__charge", { orderId: "o", amountUsd: 1 });
  expect(declined).toMatchObject({ isError: true, content: [{ text: "card declined" }] });
});
