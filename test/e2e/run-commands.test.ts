import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { holdfast } from "../support/command.ts";
import { configFile, main, odd, root, startGateway, temporaryFolder } from "../support/gateway.ts";
import { ledgerOf, orderConfig, type OrderEnvironments } from "../support/order.ts";
import { RawClient } from "../support/raw-client.ts";

const apples = {
  customer: "Ada",
  email: "ada@example.com",
  items: [{ sku: "apple", quantity: 3 }],
};
const melons = { customer: "Bob", items: [{ sku: "melon", quantity: 1 }] };

/** Nobody can find out whether its card was charged. */
const pay = {
  steps: [
    {
      id: "charge",
      tool: "payments__charge",
      arguments: { orderId: "o1", amountUsd: 5 },
      compensate: { tool: "payments__refund", arguments: { chargeId: "${{ result.chargeId }}" } },
    },
    {
      id: "tell",
      tool: "notifications__send",
      arguments: { to: "ada", text: "charged: ${{ steps.charge.result.chargeId }}" },
      compensate: false,
    },
  ],
};

/** Takes a minute, most of which nothing is done. */
const wait = {
  steps: [
    {
      id: "order",
      tool: "orders__create_order",
      arguments: { customer: "Ada", items: [{ sku: "apple", quantity: 1 }] },
      compensate: { tool: "orders__cancel_order", arguments: { id: "${{ result.id }}" } },
    },
    { id: "wait", tool: "odd__sleep", arguments: { ms: 60_000 } },
  ],
};

/** The shop, with commands that work on it. */
function shop(environments: OrderEnvironments = {}, sagas?: JsonObject) {
  const ledgers = temporaryFolder();
  const state = temporaryFolder();
  const config = orderConfig(ledgers, environments);
  const sleeper = {
    ...odd({ tools: "sleep" }),
    tools: { overrides: { sleep: { effect: "read" } } },
  };
  const file = configFile({
    ...config,
    ...(sagas !== undefined && {
      mcpServers: { ...(config["mcpServers"] as JsonObject), odd: sleeper },
      sagas,
    }),
  });
  const env = { HOLDFAST_STATE_DIR: state };
  const on = (...args: string[]) => holdfast([...args, "--config", file], { env });
  const told = (...args: string[]): JsonObject =>
    JSON.parse(on(...args, "--json").out) as JsonObject;
  return {
    file,
    env,
    on,
    told,
    ledger: (name: Parameters<typeof ledgerOf>[1]) =>
      ledgerOf(ledgers, name).map(({ tool }) => tool),
    runs: () => told("runs")["runs"] as { id: string; state: string; name: string }[],
  };
}

describe("holdfast run", () => {
  it("runs a saga, tells its steps on stderr, and prints its output", () => {
    const { on, ledger } = shop();
    const { code, out, err } = on("run", "place_order", JSON.stringify(apples));
    expect(JSON.parse(out)).toMatchObject({ totalUsd: 1.5, state: "shipped", notified: true });
    expect(err).toContain("order started: orders__create_order, step 1 of 5");
    expect(err).toContain("notify succeeded: notifications__send, step 5 of 5");
    expect(code).toBe(0);
    expect(ledger("orders")).toEqual(["create_order", "ship_order"]);
  });

  it("tells what went wrong and what was undone, and ends with 1", () => {
    const { on, told, ledger } = shop();
    const { code, out } = on("run", "holdfast__place_order", JSON.stringify(melons));
    expect(code).toBe(1);
    expect(out).toMatch(/^The saga place_order is compensated: stock: out of stock: melon$/m);
    expect(out).toMatch(/^payment +undone +payments__charge +payments__refund$/m);
    expect(out).toMatch(/^stock +failed +inventory__reserve +- +out of stock: melon$/m);
    expect(ledger("payments")).toEqual(["charge", "refund"]);
    expect(told("run", "place_order", JSON.stringify(melons))).toMatchObject({
      state: "compensated",
      steps: [{ step: "order", state: "undone" }, {}, { step: "stock", state: "failed" }],
    });
  });

  it("runs a chain, whole for programs", () => {
    expect(shop().told("run", "order_report", '{"details":"none"}')).toMatchObject({
      kind: "chain",
      state: "completed",
      output: { shipped: 0, outOfStock: ["melon"], details: null },
    });
  });

  it("refuses names and input that it cannot use, and begins nothing", () => {
    const { on, ledger } = shop();
    expect(on("run", "place_ordre", "{}")).toMatchObject({
      code: 2,
      err: 'holdfast: there is no chain or saga "place_ordre"; the nearest are place_order, order_report\n',
    });
    expect(on("run", "place_order", "[]").code).toBe(2);
    const { code, out } = on("run", "place_order", '{"customer":"Ada"}');
    expect(out).toContain("must have required property 'items'");
    expect(code).toBe(1);
    expect(ledger("orders")).toEqual([]);
  });

  it("is taken back by a signal: what was done is undone before it ends", async () => {
    const { file, env, ledger, runs } = shop({ payments: { DELAY_AFTER_MS: "2000" } });
    const args = ["run", "place_order", JSON.stringify(apples), "--config", file];
    const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, ...env } });
    let out = "";
    child.stdout.on("data", (chunk) => (out += String(chunk)));
    for await (const chunk of child.stderr)
      if (String(chunk).includes("payment started")) child.kill("SIGINT");
    const [code] = child.exitCode === null ? await once(child, "close") : [child.exitCode];
    expect(code).toBe(130);
    expect(out).toContain("The saga place_order is compensated");
    expect(ledger("payments")).toEqual(["charge", "refund"]);
    expect(runs()).toMatchObject([{ state: "compensated" }]);
  });
});

describe("holdfast runs", () => {
  it("lists runs and shows one, without starting a server", () => {
    const { on, runs, file, env } = shop();
    expect(runs()).toEqual([]);
    on("run", "place_order", JSON.stringify(melons));
    const [run] = runs();
    const id = run?.id ?? "";
    const { code, out } = on("runs");
    expect(out).toMatch(/^ID +NAME +KIND +STATE +FOR +STARTED +TOOK$/m);
    expect(out).toMatch(
      new RegExp(`^${id} +place_order +saga +compensated +local +\\d{4}-\\S+ +\\d`, "m"),
    );
    expect(code).toBe(0);
    // These servers cannot be started; nobody notices.
    const broken = configFile({ mcpServers: { hanging: odd({ start: "hang" }) } });
    const shown = holdfast(["runs", id, "--config", broken], { env });
    expect(shown.out).toMatch(/^order +undone +orders__create_order +orders__cancel_order$/m);
    expect(shown.code).toBe(0);
    expect(on("runs", `${id}0`)).toMatchObject({
      code: 2,
      err: `holdfast: there is no run "${id}0"; the nearest are ${id}\n`,
    });
    expect(on("runs", "cancel", id)).toMatchObject({
      code: 1,
      out: "it has ended: it is compensated\n",
    });
    expect(file).not.toBe(broken);
  });

  it("refuses a command line that says nothing", () => {
    const { on } = shop();
    expect(on("runs", "cancel").code).toBe(2);
    expect(on("runs", "stop", "1").code).toBe(2);
    expect(on("runs", "resolve", "1").err).toContain("--happened|--not");
    expect(on("runs", "resolve", "1", "--happened", "--not").code).toBe(2);
    expect(on("runs", "resolve", "1", "--not", "--result", "{").err).toContain("--result as JSON");
    expect(on("check", "--not").err).toContain("--not belongs to holdfast runs resolve");
  });

  it("resolve tells a stuck saga what happened, and it goes on from there", () => {
    const { on, runs, ledger } = shop({ payments: { CRASH_AFTER_EFFECT: "1" } }, { pay });
    const stuck = on("run", "pay");
    expect(stuck.code).toBe(1);
    const id = runs()[0]?.id ?? "";
    expect(stuck.out).toMatch(/^The saga pay is stuck/);
    expect(stuck.out).toMatch(/^charge +unknown +payments__charge/m);
    expect(stuck.out).toContain(`holdfast runs resolve ${id} --happened`);
    const result = JSON.stringify({ chargeId: "c1" });
    const { code, out } = on("runs", "resolve", id, "--happened", "--result", result);
    expect(out).toMatch(/^The saga pay is completed$/m);
    expect(code).toBe(0);
    expect(ledger("payments")).toEqual(["charge"]);
    expect(ledger("notifications")).toEqual(["send"]);
  });

  it("resolve --not has the saga undo the rest, and resume has a stuck one look again", () => {
    const { on, runs, ledger } = shop({ payments: { CRASH_AFTER_EFFECT: "1" } }, { pay });
    on("run", "pay");
    const id = runs()[0]?.id ?? "";
    const again = on("runs", "resume", id);
    expect(again.out).toMatch(/^The saga pay is stuck/);
    expect(again.code).toBe(1);
    const { code, out } = on("runs", "resolve", id, "--not");
    expect(out).toMatch(/^The saga pay is compensated/m);
    expect(code).toBe(0);
    expect(ledger("notifications")).toEqual([]);
  });

  it("cancel undoes a saga that another process drives", async () => {
    const { file, env, on, ledger } = shop({}, { wait });
    const client = startGateway(file, env);
    await client.initialize();
    await client.tools();
    const answer = client.call("holdfast__wait");
    await expect.poll(() => ledger("orders"), { timeout: 10_000 }).toEqual(["create_order"]);
    const { structuredContent } = await client.call("holdfast__list_runs");
    const { runs } = structuredContent as { runs: { id: string }[] };
    const { code, out } = on("runs", "cancel", runs[0]?.id ?? "");
    expect(out).toMatch(/^The saga wait is compensated/m);
    expect(code).toBe(0);
    expect(await answer).toMatchObject({ isError: true });
    expect(ledger("orders")).toEqual(["create_order", "cancel_order"]);
  });

  it("cancel undoes a saga whose process was killed", async () => {
    const { file, env, on, runs, ledger } = shop({ payments: { DELAY_AFTER_MS: "1500" } });
    const client = new RawClient(process.execPath, [main, "--config", file], {
      cwd: root,
      env: { ...process.env, ...env },
    });
    await client.initialize();
    await client.tools();
    void client.call("holdfast__place_order", apples);
    await expect.poll(() => ledger("payments"), { timeout: 10_000 }).toEqual(["charge"]);
    client.child.kill("SIGKILL");
    await client.exited;
    const { code, out } = on("runs", "cancel", runs()[0]?.id ?? "");
    expect(out).toMatch(/^The saga place_order is compensated/m);
    expect(code).toBe(0);
    expect(ledger("payments")).toEqual(["charge", "refund"]);
  });
});
