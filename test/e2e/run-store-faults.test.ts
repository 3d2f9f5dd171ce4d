import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Libsql from "libsql";
import { describe, expect, it } from "vitest";
import { CrashWorld, problemsIn, type Life } from "../support/crash-world.ts";
import { atTestEnd, temporaryFolder } from "../support/gateway.ts";
import { textOf } from "../support/raw-client.ts";
import { variantOf, variants } from "../support/sagas.ts";

const patience = 180_000;

/** What a call of a saga is answered with. */
async function begin(life: Life, name: string): Promise<{ id?: string; error?: string }> {
  const { input } = variantOf(name);
  const result = await life.client.call("holdfast__run_saga", { name, input, waitMs: 0 });
  const { id } = (result["structuredContent"] ?? {}) as { id?: string };
  return id === undefined ? { error: textOf(result) } : { id };
}

/** Expects that calls that need no run are answered. */
async function expectPlainCalls(life: Life): Promise<void> {
  for (let n = 0; n < 10; n++)
    expect(await life.client.call("payments__get_charge", { key: `none ${n}` })).toMatchObject({
      structuredContent: { found: false },
    });
}

/** A folder on a disk of a few megabytes; undefined where none can be made. */
function smallDisk(): string | undefined {
  const folder = join(temporaryFolder(), "disk");
  mkdirSync(folder);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], { stdio: "pipe" });
  } catch (error) {
    process.stderr.write(`no disk can be mounted here, its test is skipped: ${String(error)}\n`);
    return undefined;
  }
  atTestEnd(() => execFileSync("umount", ["--lazy", folder]));
  return folder;
}

describe("runs whose store fails", () => {
  it(
    "on a full disk: nothing is done that is not written, and all goes on when there is room",
    async ({ skip }) => {
      const disk = smallDisk();
      if (disk === undefined) return skip();
      const world = new CrashWorld({ delayMs: 50 });
      const life = await world.start({ HOLDFAST_STATE_DIR: disk });
      const ids: string[] = [];
      const filler = join(disk, "filler");
      const errors: string[] = [];
      for (let n = 0; errors.length < 3; n++) {
        if (n === 5) fill(filler);
        const { id, error } = await begin(life, variants[n % variants.length]?.name ?? "");
        if (id !== undefined) ids.push(id);
        if (error !== undefined) errors.push(error);
      }
      for (const error of errors) expect(error).toContain(`the disk of the run store ${disk}`);
      await expectPlainCalls(life);
      // Those under way could not write what came next.
      await life.client.until(() => life.client.stderr.includes("is left as it is"));
      rmSync(filler);
      expect(await problemsIn(world, life, ids)).toEqual([]);
      const { id } = await begin(life, "shipped");
      expect(id).toBeDefined();
      expect(await problemsIn(world, life, [...ids, id ?? ""])).toEqual([]);
    },
    patience,
  );

  it(
    "in a locked database: other calls go on, and runs do when it is free",
    async () => {
      const world = new CrashWorld({ delayMs: 5 });
      const life = await world.start();
      const before = await begin(life, "shipped");
      await life.settled();
      const db = new Libsql(join(world.state, "runs.db"));
      atTestEnd(() => db.close());

      // For a short time.
      db.exec("BEGIN EXCLUSIVE");
      const waiting = begin(life, "shipped");
      await expectPlainCalls(life);
      db.exec("COMMIT");
      const after = await waiting;
      expect(after.error).toBeUndefined();
      await life.settled();

      // For longer than anybody waits.
      const effects = world.ledger.length;
      db.exec("BEGIN EXCLUSIVE");
      let isAnswered = false;
      const refused = begin(life, "shipped").finally(() => (isAnswered = true));
      await expectPlainCalls(life);
      expect(isAnswered).toBe(false);
      const { error } = await refused;
      expect(error).toMatch(/the run store .* was locked by another program/);
      expect(world.ledger).toHaveLength(effects);
      db.exec("COMMIT");
      const last = await begin(life, "shipped");
      const ids = [before, after, last].map(({ id }) => id ?? "");
      expect(await problemsIn(world, life, ids)).toEqual([]);
    },
    patience,
  );

  it("in a damaged file: says so, begins nothing, and does when the file is moved away", async () => {
    const world = new CrashWorld({ delayMs: 5 });
    const file = join(world.state, "runs.db");
    writeFileSync(file, "This is no database. ".repeat(1000));
    const life = await world.start();
    const { error } = await begin(life, "shipped");
    expect(error).toContain(`the run store ${file} is damaged`);
    await expectPlainCalls(life);
    expect(world.ledger).toEqual([]);
    renameSync(file, `${file}.damaged`);
    const { id } = await begin(life, "shipped");
    expect(await problemsIn(world, life, [id ?? ""])).toEqual([]);
  });
});

/** Takes all the room that its disk has. */
function fill(file: string): void {
  for (const size of [65_536, 4096, 1])
    try {
      for (;;) appendFileSync(file, Buffer.alloc(size));
    } catch {
      // It is full, at this size.
    }
}
