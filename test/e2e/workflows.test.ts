import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { configFile, main, root, startGateway, temporaryFolder } from "../support/gateway.ts";
import { ledgerOf, orderConfig, orderFolder, type OrderServer } from "../support/order.ts";
import { RawClient, textOf } from "../support/raw-client.ts";

const execute = promisify(execFile);

const apples = {
  customer: "Ada",
  email: "ada@example.com",
  items: [{ sku: "apple", quantity: 3 }],
};
const melons = { customer: "Bob", items: [{ sku: "melon", quantity: 1 }] };

const orderStep = {
  id: "order",
  tool: "orders__create_order",
  arguments: {
    customer: "${{ input.customer }}",
    items: [{ sku: "pear", quantity: 2 }],
    key: "${{ step.key }}",
  },
  compensate: { tool: "orders__cancel_order", arguments: { id: "${{ result.id }}" } },
};
const saga = { steps: [orderStep], output: "${{ steps.order.result.totalUsd }}" };

const contentOf = ({ structuredContent }: JsonObject): JsonObject =>
  structuredContent as JsonObject;
const runOf = ({ _meta }: JsonObject): { id: string; state: string } =>
  (_meta as JsonObject)["holdfast/run"] as { id: string; state: string };

/** The tools that a server's ledger has, after what it had before. */
function ledgerFrom(ledgers: string, name: OrderServer): () => string[] {
  const { length } = ledgerOf(ledgers, name);
  return () =>
    ledgerOf(ledgers, name)
      .slice(length)
      .map(({ tool }) => tool);
}

describe("chains and sagas", () => {
  const ledgers = temporaryFolder(afterAll);
  const inline = { consent: "elicit", allow: ["orders__*", "inventory__*", "holdfast__*"] };
  const config = { ...orderConfig(ledgers), builtins: ["*"], inline };
  const client = startGateway(config, {}, afterAll);
  const since = (name: OrderServer): (() => string[]) => ledgerFrom(ledgers, name);
  beforeAll(async () => {
    // A client that can ask its user for forms.
    await client.initialize({ elicitation: {} });
    await client.tools();
  });
  const asked: string[] = [];
  const willAnswer = (action: "accept" | "decline"): void => {
    asked.length = 0;
    client.answers["elicitation/create"] = ({ message }) => {
      asked.push(String(message));
      return { action, ...(action === "accept" && { content: {} }) };
    };
  };

  describe("of config", () => {
    it("are tools, whose annotations tell what their steps may do", async () => {
      const tools = new Map((await client.tools()).map((tool) => [tool["name"], tool]));
      expect(tools.get("holdfast__place_order")).toMatchObject({
        title: "Place an order",
        inputSchema: { required: ["customer", "items"] },
        annotations: { readOnlyHint: false, openWorldHint: false },
      });
      expect(tools.get("holdfast__order_report")).toMatchObject({
        annotations: { readOnlyHint: true },
      });
    });

    it("complete, and answer with their output", async () => {
      const [orders, notifications] = [since("orders"), since("notifications")];
      const answer = await client.call("holdfast__place_order", apples);
      expect(contentOf(answer)).toMatchObject({ totalUsd: 1.5, state: "shipped", notified: true });
      expect(answer["isError"]).toBeUndefined();
      const { id, state } = runOf(answer);
      expect(state).toBe("completed");
      const run = contentOf(await client.call("holdfast__get_run", { id }));
      expect(run).toMatchObject({ name: "place_order", kind: "saga", output: { totalUsd: 1.5 } });
      expect(orders()).toEqual(["create_order", "ship_order"]);
      expect(notifications()).toEqual(["send"]);
    });

    it("are undone in reverse where a step fails, and say so", async () => {
      const [orders, payments] = [since("orders"), since("payments")];
      const answer = await client.call("holdfast__place_order", melons);
      expect(answer["isError"]).toBe(true);
      expect(textOf(answer)).toContain(
        "The saga place_order did not come through (step stock: out of stock: melon). All that it had done was undone: order, payment.",
      );
      expect(answer["_meta"]).toMatchObject({ "holdfast/failure": { outcome: "failed" } });
      expect(orders()).toEqual(["create_order", "cancel_order"]);
      expect(payments()).toEqual(["charge", "refund"]);
    });

    it("refuse input that does not fit, and begin nothing", async () => {
      const orders = since("orders");
      const answer = await client.call("holdfast__place_order", { customer: "" });
      expect(answer["isError"]).toBe(true);
      expect(textOf(answer)).toContain("must have required property 'items'");
      expect(orders()).toEqual([]);
    });

    it("are begun once for a key, however often they are called with it", async () => {
      const orders = since("orders");
      const meta = { "holdfast/idempotency-key": "order-1" };
      const first = await client.call("holdfast__place_order", apples, meta);
      const second = await client.call("holdfast__place_order", apples, meta);
      expect(runOf(second)).toEqual(runOf(first));
      expect(contentOf(second)).toEqual(contentOf(first));
      expect(orders()).toEqual(["create_order", "ship_order"]);
    });

    it("tell their progress, step by step", async () => {
      const before = client.messages.length;
      await client.call("holdfast__place_order", melons, { progressToken: 7 });
      const notes = client.messages
        .slice(before)
        .filter(({ method }) => method === "notifications/progress")
        .map(({ params }) => params as { progress: number; total: number; message: string });
      expect(notes.map(({ message }) => message)).toEqual([
        "order started: orders__create_order, step 1 of 5",
        "order succeeded: orders__create_order, step 1 of 5",
        "payment started: payments__charge, step 2 of 5",
        "payment succeeded: payments__charge, step 2 of 5",
        "stock started: inventory__reserve, step 3 of 5",
        "stock failed: inventory__reserve, step 3 of 5",
        "payment undone: payments__refund",
        "order undone: orders__cancel_order",
      ]);
      expect(notes.map(({ total }) => total)).toEqual(notes.map(() => 5));
      const grows = notes.every(({ progress }, i) => progress > (notes[i - 1]?.progress ?? 0));
      expect(grows).toBe(true);
    });
  });

  describe("that a model writes", () => {
    it("are run where the user agrees, who is shown each write with its arguments", async () => {
      willAnswer("accept");
      const orders = since("orders");
      const answer = await client.call("holdfast__run_saga", {
        definition: saga,
        input: { customer: "Eve" },
      });
      expect(contentOf(answer)).toMatchObject({ state: "completed", output: 1.5 });
      expect(asked).toEqual([
        'A saga that the model wrote wants to call:\n- order: orders__create_order {"customer":"Eve","items":[{"sku":"pear","quantity":2}],"key":"${{ step.key }}"}\n- order, to undo it: orders__cancel_order {"id":"${{ result.id }}"}',
      ]);
      expect(orders()).toEqual(["create_order"]);
    });

    it("are not begun where the user does not", async () => {
      willAnswer("decline");
      const orders = since("orders");
      const answer = await client.call("holdfast__run_saga", {
        definition: saga,
        input: { customer: "Eve" },
      });
      expect(answer["isError"]).toBe(true);
      expect(textOf(answer)).toContain("the user did not agree; nothing was begun");
      expect(orders()).toEqual([]);
    });

    it("may read without asking: in parallel, by conditions, over lists", async () => {
      willAnswer("decline");
      const definition = {
        steps: [
          {
            id: "both",
            parallel: [
              { id: "stock", tool: "inventory__stock" },
              { id: "orders", tool: "orders__list_orders" },
            ],
          },
          {
            id: "what",
            switch: {
              value: "${{ size(steps.stock.result.items) > 2 ? 'many' : 'few' }}",
              cases: {
                many: [
                  {
                    id: "each",
                    forEach: { in: "${{ steps.stock.result.items }}", maxParallel: 3 },
                    tool: "orders__get_order",
                    arguments: { key: "none-of-${{ item.sku }}-${{ index }}" },
                    output: "${{ result.map(answer, answer.found) }}",
                  },
                ],
                few: [{ id: "none", tool: "inventory__stock" }],
              },
            },
          },
          { id: "never", when: "${{ input.again }}", tool: "inventory__stock" },
        ],
        output: { each: "${{ steps.each.result }}", never: "${{ steps.never.result }}" },
      };
      const answer = await client.call("holdfast__run_chain", {
        definition,
        input: { again: false },
      });
      expect(contentOf(answer)).toMatchObject({ kind: "chain", state: "completed" });
      expect(contentOf(answer)["output"]).toEqual({
        each: [false, false, false],
        never: null,
      });
      expect(asked).toEqual([]);
    });

    it("are refused as a whole where config does not let one of their tools be used", async () => {
      willAnswer("accept");
      const pay = {
        id: "pay",
        tool: "payments__charge",
        arguments: { orderId: "o", amountUsd: 1 },
        compensate: false,
      };
      const answer = await client.call("holdfast__run_saga", {
        definition: { steps: [orderStep, pay] },
        input: { customer: "Eve" },
      });
      expect(textOf(answer)).toContain("inline.allow of config does not let payments__charge");
      expect(asked).toEqual([]);
      const batch = await client.call("holdfast__batch", {
        tool: "payments__charge",
        items: [{ orderId: "o", amountUsd: 1 }],
      });
      expect(batch["isError"] ?? batch["error"]).toBeTruthy();
      expect(JSON.stringify(batch)).toContain("inline.allow of config");
    });

    it("are planned without calling anything, by plan_run and by dryRun", async () => {
      const orders = since("orders");
      const wanted = { definition: saga, input: { customer: "Eve" } };
      const plan = contentOf(await client.call("holdfast__plan_run", wanted));
      expect(plan).toMatchObject({
        ok: true,
        problems: [],
        steps: [
          {
            step: "order",
            tool: "orders__create_order",
            effect: "write",
            arguments: { customer: "Eve", key: "${{ step.key }}" },
            undo: { tool: "orders__cancel_order", arguments: { id: "${{ result.id }}" } },
          },
        ],
      });
      const dry = await client.call("holdfast__run_saga", { ...wanted, dryRun: true });
      expect(contentOf(dry)).toEqual(plan);
      const wrong = await client.call("holdfast__plan_run", {
        definition: { steps: [{ id: "a", tool: "orders__creat_order" }] },
      });
      expect(contentOf(wrong)["ok"]).toBe(false);
      expect(JSON.stringify(contentOf(wrong)["problems"])).toContain("orders__create_order");
      expect(orders()).toEqual([]);
    });
  });

  describe("as runs", () => {
    it("go on when nobody waits any longer", async () => {
      const answer = await client.call("holdfast__run_saga", {
        name: "place_order",
        input: apples,
        waitMs: 0,
      });
      const { id, state } = runOf(answer);
      expect(state).toBe("running");
      expect(textOf(answer)).toContain(`as run ${id}. Ask get_run for how it goes`);
      const stateOf = async (): Promise<unknown> =>
        contentOf(await client.call("holdfast__get_run", { id }))["state"];
      await expect.poll(stateOf, { timeout: 10_000 }).toBe("completed");
    });

    it("are listed by name and state, the newest first", async () => {
      const list = async (filter: JsonObject): Promise<JsonObject[]> =>
        contentOf(await client.call("holdfast__list_runs", filter))["runs"] as JsonObject[];
      await client.call("holdfast__place_order", melons);
      const undone = await list({ name: "place_order", state: "compensated" });
      expect(undone[0]).toMatchObject({ error: "out of stock: melon" });
      expect(new Set(undone.map(({ state }) => state))).toEqual(new Set(["compensated"]));
      expect(await list({ name: "place_order", limit: 1 })).toEqual([undone[0]]);
      const chains = await list({ name: "inline" });
      expect(chains.map(({ kind }) => kind)).toContain("chain");
      expect(await list({ state: "stuck" })).toEqual([]);
    });
  });
});

it("the Inspector lists the example's saga, and runs it", async () => {
  const folder = temporaryFolder();
  const env = { HOLDFAST_STATE_DIR: folder, LEDGER_DIR: folder, PAYMENT_DECLINES: "0" };
  const inspector = async (...args: string[]): Promise<JsonObject> => {
    const cli = join(root, "node_modules/.bin/mcp-inspector");
    const given = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
    // What follows -- is Holdfast's: the Inspector has a --config of its own.
    const gateway = ["--", process.execPath, main, "--config", join(orderFolder, "servers.json")];
    const { stdout } = await execute(cli, ["--cli", ...given, ...args, ...gateway], { cwd: root });
    return JSON.parse(stdout) as JsonObject;
  };
  const { tools } = (await inspector("--method", "tools/list")) as { tools: JsonObject[] };
  expect(tools.map(({ name }) => name)).toContain("holdfast__place_order");
  const call = ["--method", "tools/call", "--tool-name", "holdfast__place_order"];
  const values = Object.entries(apples).map(([name, value]) =>
    typeof value === "string" ? `${name}=${value}` : `${name}=${JSON.stringify(value)}`,
  );
  const answer = await inspector("--tool-arg", ...values, ...call);
  expect(contentOf(answer)).toMatchObject({ state: "shipped", notified: true });
});

/** A shop of its own, whose client leaves when the test ends. */
async function shop(environments: Parameters<typeof orderConfig>[1], sagas?: JsonObject) {
  const ledgers = temporaryFolder();
  const state = temporaryFolder();
  const config = orderConfig(ledgers, environments);
  const file = configFile({ ...config, ...(sagas !== undefined && { sagas }) });
  const env = { HOLDFAST_STATE_DIR: state };
  return {
    file,
    env,
    ledger: (name: OrderServer) => ledgerOf(ledgers, name).map(({ tool }) => tool),
    start: async () => {
      const client = startGateway(file, env);
      await client.initialize();
      await client.tools();
      return client;
    },
  };
}

const runsOf = async (client: RawClient): Promise<JsonObject[]> =>
  contentOf(await client.call("holdfast__list_runs"))["runs"] as JsonObject[];

describe("a saga", () => {
  it("whose call is taken back is undone", async () => {
    const { start, ledger } = await shop({ payments: { DELAY_AFTER_MS: "1500" } });
    const client = await start();
    const { id } = client.request("tools/call", {
      name: "holdfast__place_order",
      arguments: apples,
    });
    await expect.poll(() => ledger("payments"), { timeout: 10_000 }).toEqual(["charge"]);
    client.send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: id } });
    const states = async () => (await runsOf(client)).map(({ state }) => state);
    await expect.poll(states, { timeout: 20_000 }).toEqual(["compensated"]);
    expect(ledger("payments")).toEqual(["charge", "refund"]);
    expect(ledger("orders")).toEqual(["create_order", "cancel_order"]);
  });

  it("whose gateway was killed finds out what is in doubt before it undoes, also beside what failed", async () => {
    const reserve = {
      id: "reserve",
      tool: "inventory__reserve",
      arguments: {
        orderId: "o1",
        items: [{ sku: "apple", quantity: 1 }],
        key: "${{ step.key }}",
      },
      compensate: {
        tool: "inventory__release",
        arguments: { reservationId: "${{ result.reservationId }}" },
      },
      verify: {
        tool: "inventory__get_reservation",
        arguments: { key: "${{ step.key }}" },
        happened: "${{ result.found }}",
        result: "${{ result.reservation }}",
      },
    };
    const fails = {
      ...orderStep,
      arguments: { customer: "Ada", items: [{ sku: "nothing", quantity: 1 }] },
    };
    const slow = { id: "slow", steps: [{ id: "look", tool: "inventory__stock" }, reserve] };
    const { file, env, ledger, start } = await shop(
      { inventory: { DELAY_AFTER_MS: "4000" }, orders: { DELAY_MS: "1000" } },
      { both: { steps: [{ id: "both", parallel: [fails, slow] }] } },
    );
    const killed = new RawClient(process.execPath, [main, "--config", file], {
      cwd: root,
      env: { ...process.env, ...env },
    });
    await killed.initialize();
    await killed.tools();
    void killed.call("holdfast__both", {}, { progressToken: 1 });
    await expect.poll(() => ledger("inventory"), { timeout: 10_000 }).toEqual(["reserve"]);
    const isNote = ({ params }: JsonObject): boolean =>
      String((params as JsonObject | undefined)?.["message"]).startsWith("order failed");
    await killed.until(() => killed.messages.some(isNote));
    killed.child.kill("SIGKILL");
    await killed.exited;
    const client = await start();
    const states = async () => (await runsOf(client)).map(({ state }) => state);
    await expect.poll(states, { timeout: 20_000 }).toEqual(["compensated"]);
    expect(ledger("inventory")).toEqual(["reserve", "release"]);
  });
});
