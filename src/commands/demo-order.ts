/*
 * The demo's story of an order: a saga that completes, one that is undone, and one whose gateway is killed.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { JsonObject, Result } from "../call.ts";
import type { Cancel } from "../cancel.ts";
import { isObject } from "../wire.ts";
import { now, sleep } from "../time.ts";
import type { Connection } from "../upstream/connection.ts";
import { callOf, since, startHoldfast } from "./demo-client.ts";
import { packageFolder } from "../version.ts";
import { table, type Output } from "./output.ts";

const definitions = new URL("examples/order/servers.json", packageFolder);
/** The example's servers, with all that they need: a published Holdfast has no SDK beside it. */
const programs = fileURLToPath(new URL("dist/order/", packageFolder));
const servers = ["orders", "payments", "inventory", "notifications"] as const;
/** Milliseconds for which the payments server of the third act keeps its answers back. */
const lateAnswer = 1500;
/** Milliseconds that something of the story may take, and between two looks. */
const patience = 20_000;
const lookEvery = 50;

const order = (customer: string, sku: string, quantity: number): JsonObject => ({
  customer,
  email: `${customer.toLowerCase()}@example.com`,
  items: [{ sku, quantity }],
});

/** What a ledger has a line for: something that a server has done. */
interface Effect {
  readonly id: string;
  readonly tool: string;
  readonly arguments: JsonObject;
}

/** What each server must have done for each customer in the end. */
const expected: readonly (readonly string[])[] = [
  ["Ada", "create, ship", "charge", "reserve", "send"],
  ["Bob", "create, cancel", "charge, refund", "-", "-"],
  ["Cy", "create, ship", "charge", "reserve", "send"],
];

/** A shop in a folder of its own, with a client. */
export class OrderStory {
  readonly #output: Output;
  #folder: string | undefined;
  #connecting: Promise<Connection> | undefined;
  /** Of the gateway. */
  #pid = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Prints the story. Answers how much of it came out otherwise than told. */
  async tell(stop: Cancel): Promise<number> {
    const { line } = this.#output;
    this.#folder = await mkdtemp(join(tmpdir(), "holdfast-demo-"));
    line("A saga, place_order, over four servers: orders, payments, inventory, notifications");
    const client = await this.#start("quick", {}, stop);
    const outcomes = [
      await this.#order(client, "Ada", "3 apples", order("Ada", "apple", 3), "completed", stop),
      await this.#order(client, "Bob", "1 melon", order("Bob", "melon", 1), "compensated", stop),
      await this.#report(client, stop),
    ];
    await client.close();
    outcomes.push(await this.#killed(stop));
    line();
    line("What the servers' own ledgers say:");
    const found = await this.#ledgers();
    for (const row of table([["", ...servers], ...found])) line(`  ${row}`);
    outcomes.push(JSON.stringify(found) === JSON.stringify(expected));
    return outcomes.filter((isTold) => !isTold).length;
  }

  /** Leaves nothing behind. */
  async close(): Promise<void> {
    await this.#connecting?.then(
      (connection) => connection.close(),
      () => {},
    );
    if (this.#folder !== undefined)
      await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async #order(
    client: Connection,
    customer: string,
    what: string,
    args: JsonObject,
    state: string,
    stop: Cancel,
  ): Promise<boolean> {
    const begun = now();
    const result = await client.handle(callOf("holdfast__place_order", args, stop));
    const run = isObject(result["_meta"]) ? result["_meta"]["holdfast/run"] : undefined;
    const came = isObject(run) ? String(run["state"]) : "not begun";
    this.#say(`${customer} orders ${what}`, came, `${wordsOf(result)} (${since(begun)})`);
    return came === state;
  }

  async #report(client: Connection, stop: Cancel): Promise<boolean> {
    const begun = now();
    const result = await client.handle(
      callOf("holdfast__order_report", { details: "payments" }, stop),
    );
    const { shipped, cancelled, outOfStock } = contentOf(result);
    const words = `${String(shipped)} shipped, ${String(cancelled)} cancelled, out of ${String(outOfStock)}`;
    this.#say("A chain reports", "completed", `${words} (${since(begun)})`);
    return shipped === 1 && cancelled === 1;
  }

  /** Kills the gateway after a card was charged, before it could know. */
  async #killed(stop: Cancel): Promise<boolean> {
    const late = { DELAY_AFTER_MS: String(lateAnswer) };
    const client = await this.#start("late", late, stop);
    client.handle(callOf("holdfast__place_order", order("Cy", "apple", 2), stop)).catch(() => {});
    const charges = async (): Promise<number> =>
      (await this.#effects("payments")).filter(({ tool }) => tool === "charge").length;
    const isCharged = await eventually(async () => (await charges()) === 3, stop);
    process.kill(this.#pid, "SIGKILL");
    await client.ended;
    this.#say("Cy orders 2 apples", "killed", "kill -9 of Holdfast once the card is charged");
    const again = await this.#start("late", late, stop);
    const begun = now();
    const list = callOf("holdfast__list_runs", { state: "completed" }, stop);
    const isDone = await eventually(async () => {
      const { runs } = contentOf(await again.handle(list));
      return Array.isArray(runs) && runs.length === 2;
    }, stop);
    const asked = "the run went on: it asked whether the charge had happened";
    this.#say("Holdfast starts again", isDone ? "completed" : "lost", `${asked} (${since(begun)})`);
    await again.close();
    return isCharged && isDone;
  }

  #say(what: string, state: string, words: string): void {
    this.#output.line(`  ${what.padEnd(23)}${state.padEnd(13)}${words}`);
  }

  /** Starts Holdfast on the example, with its data in our folder. `env` is that of the payments server. */
  async #start(name: string, env: JsonObject, abandon: Cancel): Promise<Connection> {
    const folder = this.#folder ?? "";
    const {
      $schema: _,
      events: __,
      ...config
    } = JSON.parse(await readFile(definitions, "utf8")) as JsonObject;
    const ledger = { LEDGER_DIR: join(folder, "ledger"), PAYMENT_DECLINES: "0" };
    const server = (of: string) => ({
      command: process.execPath,
      args: [join(programs, `${of}.js`)],
      env: { ...ledger, ...(of === "payments" && env) },
    });
    const mcpServers = Object.fromEntries(servers.map((of) => [of, server(of)]));
    const file = join(folder, `${name}.json`);
    await writeFile(file, JSON.stringify({ ...config, mcpServers, log: { level: "error" } }));
    this.#connecting = startHoldfast(
      {
        config: file,
        env: { HOLDFAST_STATE_DIR: join(folder, "state") },
        records: { add: ({ pid }) => (this.#pid = pid), remove: () => {} },
      },
      this.#output,
      abandon,
    );
    return this.#connecting;
  }

  async #effects(server: string): Promise<Effect[]> {
    const file = join(this.#folder ?? "", "ledger", `${server}.jsonl`);
    const text = await readFile(file, "utf8").catch(() => "");
    const whole = text.split("\n").slice(0, -1);
    return whole.map((line) => JSON.parse(line) as Effect);
  }

  /** A row for each customer: what each server has done. */
  async #ledgers(): Promise<string[][]> {
    const customers = new Map<unknown, string>();
    const rows = new Map<string, string[][]>(
      expected.map(([name = ""]) => [name, [[], [], [], []]]),
    );
    for (const [column, server] of servers.entries())
      // oxlint-disable-next-line no-await-in-loop -- what a server did names what those before it made
      for (const { id, tool, arguments: args } of await this.#effects(server)) {
        const about = [args["orderId"], args["id"], args["chargeId"], args["to"]];
        const customer =
          about.map((one) => customers.get(one)).find(Boolean) ?? String(args["customer"]);
        customers.set(id, customer).set(`${customer.toLowerCase()}@example.com`, customer);
        rows.get(customer)?.[column]?.push(tool.replace("_order", ""));
      }
    return [...rows].map(([name, done]) => [name, ...done.map((tools) => tools.join(", ") || "-")]);
  }
}

const contentOf = ({ structuredContent }: Result): JsonObject =>
  isObject(structuredContent) ? structuredContent : {};

/** What came of an order, in a few words. */
function wordsOf(result: Result): string {
  const { totalUsd, state, notified, error, steps } = contentOf(result);
  if (!isObject(error))
    return `${String(totalUsd)} USD, ${String(state)}${notified === true ? ", and told so" : ""}`;
  const undone = (Array.isArray(steps) ? (steps as JsonObject[]) : [])
    .filter((step) => step["state"] === "undone")
    .map((step) => step["step"]);
  return `${String(error["message"])}; undone: ${undone.join(", ")}`;
}

async function eventually(condition: () => Promise<boolean>, stop: Cancel): Promise<boolean> {
  const until = now() + patience;
  // oxlint-disable no-await-in-loop -- it waits
  while (now() < until) {
    if (await condition()) return true;
    if (stop.reason !== undefined) throw stop.reason;
    await sleep(lookEvery);
  }
  // oxlint-enable no-await-in-loop
  return false;
}
