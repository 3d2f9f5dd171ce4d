import { randomUUID } from "node:crypto";
import { afterAll, describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { CrashWorld, isMoving, problemsIn, type Life } from "../support/crash-world.ts";
import { temporaryFolder } from "../support/gateway.ts";
import { postgresHere } from "../support/postgres.ts";
import { variants } from "../support/sagas.ts";

const patience = 300_000;

/** Begins that many sagas of all kinds over all gateways, some at a time; the ids that were answered. */
function beginAll(lives: readonly Life[], count: number) {
  const ids: string[] = [];
  const done = Promise.all(
    lives.map(async (life, place) => {
      for (let n = place; n < count; n += lives.length) {
        const variant = variants[n % variants.length];
        const id = variant && (await life.begin(variant));
        if (id === undefined) return;
        ids.push(id);
      }
    }),
  );
  return { ids, done };
}

describe("several gateways on one store", () => {
  it(
    "lose and double nothing when one of three is killed, in SQLite",
    async () => {
      const world = new CrashWorld({ delayMs: 5 });
      const lives = await Promise.all([world.start(), world.start(), world.start()]);
      const [first, second] = lives;
      const { ids, done } = beginAll(lives, 100);
      await world.until(({ runs }) => runs >= 60, patience);
      await first.kill();
      expect((await second.runs()).filter(isMoving)).not.toEqual([]);
      await done;
      expect(await problemsIn(world, second, ids)).toEqual([]);
    },
    patience,
  );
});

const server = await postgresHere();
const databases: string[] = [];
afterAll(async () => {
  for (const name of databases) await server?.run(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
});

describe.runIf(server !== undefined)("several gateways on one PostgreSQL database", () => {
  it(
    "lose and double nothing when one of two with folders of their own is killed",
    async () => {
      const name = `holdfast_${randomUUID().replaceAll("-", "")}`;
      await server?.run(`CREATE DATABASE "${name}"`);
      databases.push(name);
      const url = new URL(server?.url ?? "");
      url.pathname = `/${name}`;
      const config: JsonObject = { delayMs: 5, stores: { runs: url.href } };
      const world = new CrashWorld(config);
      const replica = (): Promise<Life> => world.start({ HOLDFAST_STATE_DIR: temporaryFolder() });
      const lives = await Promise.all([replica(), replica()]);
      const [first, second] = lives;
      const { ids, done } = beginAll(lives, 40);
      await expect.poll(() => world.ledger.length, { timeout: patience }).toBeGreaterThan(40);
      await first.kill();
      expect((await second.runs()).filter(isMoving)).not.toEqual([]);
      await done;
      expect(await problemsIn(world, second, ids)).toEqual([]);
    },
    patience,
  );
});
