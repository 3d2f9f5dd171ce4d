import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { startGateway, temporaryFolder } from "../support/gateway.ts";
import { seeded } from "../support/random.ts";
import { textOf, type RawClient } from "../support/raw-client.ts";

const program = fileURLToPath(new URL("../support/flaky-server.mjs", import.meta.url));
const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** The config of a flaky server; by HTTP it is running already. */
async function flaky(transport: string): Promise<JsonObject> {
  const args = [program, `--log=${join(temporaryFolder(), "log")}`, `--transport=${transport}`];
  if (transport === "stdio") return { command: process.execPath, args };
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  ends.push(() => child.kill("SIGKILL"));
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { url: `http://127.0.0.1:${Number(line)}/mcp` };
}

async function start(transport: string, policies: JsonObject): Promise<RawClient> {
  const client = startGateway({ mcpServers: { f: await flaky(transport) }, policies });
  await client.initialize();
  await client.tools();
  return client;
}

/** How often each id was executed. */
async function executions(client: RawClient): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const ids = JSON.parse(textOf(await client.call("f__executions"))) as string[];
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

/** Makes so many calls, a few at a time, and gives their results in order. */
async function many(count: number, one: (n: number) => Promise<JsonObject>): Promise<JsonObject[]> {
  const results: JsonObject[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const n = next++;
      results[n] = await one(n);
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
  return results;
}

const failureOf = (result: JsonObject): { code?: string; outcome?: string } =>
  (result["_meta"] as JsonObject | undefined)?.["holdfast/failure"] ?? {};

const patient = {
  timeout: { attemptMs: 400, totalMs: 20_000 },
  retry: { maxAttempts: 8, initialDelayMs: 5, budgetRatio: 1, budgetFloor: 10_000 },
  circuitBreaker: { consecutiveFailures: 50, failureRatio: 0 },
};

describe.each(["stdio", "http"])("a flaky server by %s", (transport) => {
  it(`does a write exactly once in each of 500 runs, unless the gateway says that it is unknown (SEED=${seed})`, async () => {
    const chance = seeded(seed);
    const client = await start(transport, patient);
    const words = ["throttled", "unavailable", "drop", "do-and-drop", "slow"];
    const plan = (): string[] =>
      Array.from({ length: 4 }, () => {
        const dice = chance();
        if (dice < 0.01) return "do-and-hang";
        if (dice < 0.02) return "hang";
        if (dice < (transport === "stdio" ? 0.022 : 0.05)) return "do-and-crash";
        return dice < 0.5 ? (words[Math.floor(chance() * words.length)] ?? "ok") : "ok";
      });
    const results = await many(500, (n) => client.call("f__write", { id: `w${n}`, plan: plan() }));
    const counts = await executions(client);
    const seen = { done: 0, failed: 0, unknown: 0, answered: 0 };
    for (const [n, result] of results.entries()) {
      const times = counts.get(`w${n}`) ?? 0;
      const { outcome } = failureOf(result);
      if (result["isError"] !== true) {
        seen.done++;
        expect(times).toBe(1);
      } else if (outcome === "unknown") {
        seen.unknown++;
        expect(times).toBeLessThanOrEqual(1);
      } else {
        // It was refused, by the gateway or by the server itself: nothing was done.
        seen[outcome === "failed" ? "failed" : "answered"]++;
        expect(times).toBe(0);
      }
    }
    // All of this has really happened.
    expect(seen.done).toBeGreaterThan(200);
    expect(seen.unknown).toBeGreaterThan(20);
  });

  it(`answers reads through 30 % of faults (SEED=${seed})`, async () => {
    const chance = seeded(seed + 1);
    const client = await start(transport, patient);
    const faults = ["throttled", "unavailable", "drop", "do-and-drop", "slow"];
    const plan = (): string[] =>
      Array.from({ length: 8 }, () => {
        if (chance() >= 0.3) return "ok";
        return chance() < 0.03 ? "hang" : (faults[Math.floor(chance() * faults.length)] ?? "ok");
      });
    const results = await many(300, (n) => client.call("f__read", { id: `r${n}`, plan: plan() }));
    expect(results.map(textOf)).toEqual(results.map((_, n) => `did r${n}`));
  });

  it("has its circuit opened, and closed when it works again", async () => {
    const client = await start(transport, {
      retry: false,
      circuitBreaker: { consecutiveFailures: 3, openMs: 300 },
    });
    await client.call("f__break", { broken: true });
    for (let n = 0; n < 3; n++) await client.call("f__write", { id: `b${n}` });
    const refused = await client.call("f__write", { id: "refused" });
    expect(failureOf(refused)).toMatchObject({ code: "circuit_open", outcome: "failed" });
    expect(textOf(refused)).toMatch(/Nothing was done\. Try again in 1 s\./);
    // The probe is the call that mends it.
    let mended: JsonObject;
    do mended = await client.call("f__break", { broken: false });
    while (failureOf(mended).code === "circuit_open");
    expect(textOf(await client.call("f__write", { id: "works" }))).toBe("did works");
    const counts = await executions(client);
    expect(counts.get("refused")).toBeUndefined();
    expect(counts.get("works")).toBe(1);
  });

  it("answers a read through bad gateways, and does not know of a write", async () => {
    const client = await start(transport, patient);
    const plan = ["502", "504", "502"];
    expect(textOf(await client.call("f__read", { id: "r", plan }))).toBe("did r");
    const write = await client.call("f__write", { id: "w", plan: ["do-and-502"] });
    expect(write["isError"]).toBe(true);
    expect((await executions(client)).get("w")).toBe(1);
    if (transport === "http") expect(failureOf(write)).toMatchObject({ outcome: "unknown" });
  });

  it("gets one call for 1000 equal reads", async () => {
    const client = await start(transport, {});
    const read = () => client.call("f__read", { id: "same", plan: ["slow"] });
    const results = await Promise.all(Array.from({ length: 1000 }, read));
    expect(new Set(results.map(textOf))).toEqual(new Set(["did same"]));
    expect((await executions(client)).get("same")).toBe(1);
  });
});

describe("a flaky server by HTTP", () => {
  it("is asked again after a status of 500", async () => {
    const client = await start("http", patient);
    const plan = ["500", "500", "unavailable"];
    expect(textOf(await client.call("f__read", { id: "r", plan }))).toBe("did r");
    expect((await executions(client)).get("r")).toBe(1);
  });

  it.each(["500", "502", "504", "unavailable"])("has its circuit opened by %s", async (as) => {
    const client = await start("http", {
      retry: false,
      circuitBreaker: { consecutiveFailures: 3, openMs: 60_000 },
    });
    await client.call("f__break", { broken: true, as });
    for (let n = 0; n < 3; n++) await client.call("f__write", { id: `b${n}` });
    const refused = await client.call("f__write", { id: "refused" });
    expect(failureOf(refused)).toMatchObject({ code: "circuit_open" });
  });
});
