import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { CrashWorld, problemsIn, type Life } from "../support/crash-world.ts";
import { ownerOf, variantOf } from "../support/sagas.ts";

const isLong = process.env["npm_lifecycle_event"] === "crash";

/** Has a run begun and gives its id as soon as so many effects have happened. */
async function beginUntil(world: CrashWorld, life: Life, name: string, effects: number) {
  const before = world.counts().effects;
  const id = await life.begin(variantOf(name));
  await world.until((counts) => counts.effects >= before + effects);
  return id ?? "";
}

const toolsOf = (world: CrashWorld): string[] => world.ledger.map(({ tool }) => tool);

describe("a saga that is taken back", () => {
  it("is undone where its caller cancels the call", async () => {
    const world = new CrashWorld({ delayMs: 200 });
    const life = await world.start();
    const { name, input } = variantOf("shipped");
    const { id } = life.client.request("tools/call", {
      name: "holdfast__run_saga",
      arguments: { name, input },
    });
    await world.until(({ effects }) => effects >= 2);
    life.client.send({
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: id, reason: "changed my mind" },
    });
    const [run] = await life.settled();
    expect(run).toMatchObject({ state: "compensated" });
    expect(toolsOf(world).toSorted()).toEqual(["cancel_order", "charge", "create_order", "refund"]);
  });

  it.each([1, 2, 3])("is undone where the gateway is killed then, at effect %i", async (effect) => {
    const world = new CrashWorld({ delayMs: 200 });
    const first = await world.start();
    const id = await beginUntil(world, first, "shipped", effect);
    void first.client.call("holdfast__cancel_run", { id, waitMs: 0 });
    await world.until(() => world.notes().includes("note:cancel"));
    await first.kill();
    const second = await world.start();
    const [run] = await second.settled();
    expect(run).toMatchObject({ state: "compensated" });
    expect(await problemsIn(world, second, [id], ["compensated"])).toEqual([]);
  });
});

describe("a saga whose gateway is left", () => {
  it.each([
    ["its client disconnects", (life: Life) => life.client.close()],
    [
      "it is told to end",
      (life: Life) => {
        life.client.child.kill("SIGTERM");
        return life.client.exited;
      },
    ],
  ])("finishes the step under way and goes on at the next start, where %s", async (_, leave) => {
    const world = new CrashWorld({ delayMs: 300 });
    const first = await world.start();
    const id = await beginUntil(world, first, "blind", 1);
    expect(await leave(first)).toBe(0);
    // A step without `verify` that was cut short would be stuck.
    const left = world.counts();
    expect(left.results).toBe(left.intents);
    expect(left.effects).toBeLessThan(3);
    const second = await world.start();
    expect(await second.settled()).toMatchObject([{ id, state: "completed" }]);
    expect(await problemsIn(world, second, [id])).toEqual([]);
  });
});

describe("a saga whose gateway is killed", () => {
  it("is the same run when it is asked for again with its key", async () => {
    const world = new CrashWorld({ delayMs: 100 });
    const { name, input } = variantOf("shipped");
    const ask = async (life: Life): Promise<JsonObject> => {
      const meta = { "holdfast/idempotency-key": "order 1" };
      const { structuredContent } = await life.client.call(
        "holdfast__run_saga",
        { name, input },
        meta,
      );
      return structuredContent as JsonObject;
    };
    const first = await world.start();
    void ask(first);
    await world.until(({ effects }) => effects > 0);
    await first.kill();
    const second = await world.start();
    const { id, state } = await ask(second);
    expect(state).toBe("completed");
    expect(await second.runs()).toMatchObject([{ id }]);
    expect(await problemsIn(world, second, [String(id)])).toEqual([]);
  });
});

describe("a saga whose gateway is killed while another one runs", () => {
  it("goes on there, and what the dead one's servers were about to do is not done twice", async () => {
    // Longer than the other gateway waits until it looks for runs that nobody drives.
    const world = new CrashWorld({ delayMs: 8000, delayAfterMs: 0 });
    const [first, second] = await Promise.all([world.start(), world.start()]);
    const id = await first.begin(variantOf("shipped"));
    await world.until(({ intents }) => intents > 0);
    await first.kill();
    await world.until(({ results }) => results > 0, 60_000);
    const orders = world.ledger.filter(({ tool }) => tool === "create_order");
    expect(orders.map((entry) => ownerOf(entry))).toEqual([{ run: id, step: "order" }]);
    await second.kill();
  });

  it("goes on there when a step takes longer than the gateway may take to leave", async () => {
    const world = new CrashWorld({ delayMs: 7000, delayAfterMs: 0 });
    const [first, second] = await Promise.all([world.start(), world.start()]);
    const id = await first.begin(variantOf("shipped"));
    await world.until(({ intents }) => intents > 0);
    await first.client.close();
    await world.until(({ results }) => results > 0, 60_000);
    const orders = world.ledger.filter(({ tool }) => tool === "create_order");
    expect(orders.map((entry) => ownerOf(entry))).toEqual([{ run: id, step: "order" }]);
    await second.kill();
  });
});

describe.runIf(isLong)("a saga whose gateway stands still for longer than its lease", () => {
  it("goes on in another one, and is left alone by the first", async () => {
    const world = new CrashWorld({ delayMs: 300 });
    const [first, second] = await Promise.all([world.start(), world.start()]);
    const id = await beginUntil(world, first, "shipped", 2);
    first.client.child.kill("SIGSTOP");
    await world.until(({ settled }) => settled === 1, 120_000);
    first.client.child.kill("SIGCONT");
    const runs = [await first.settled(), await second.settled()];
    expect(runs).toMatchObject([[{ id, state: "completed" }], [{ id, state: "completed" }]]);
    expect(await problemsIn(world, first, [id])).toEqual([]);
  }, 180_000);
});
