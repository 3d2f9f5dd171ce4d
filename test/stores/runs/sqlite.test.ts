import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import Libsql from "libsql";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import type { EngineRunStore } from "../../../src/stores/runs/engine-run-store.ts";
import { engineTables, engineVersion } from "../../../src/stores/runs/sqlite-schema.ts";
import { SqliteDatabase } from "../../../src/stores/runs/sqlite.ts";
import { runStoreContract } from "./contract.ts";
import { failed, newRun, storeOn } from "./runs.ts";

const root = mkdtempSync(join(tmpdir(), "holdfast-runs-"));
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

/** Closes a store for good: libsql keeps a file open until its statements are collected. */
async function close(store: EngineRunStore): Promise<void> {
  await store.close();
  for (let n = 0; n < 3; n++) {
    gc();
    await new Promise(setImmediate);
  }
}

let folders = 0;
const newFolder = (): string => join(root, `${++folders}`);

function open(file: string, patience = 5000, ownFolder = true): EngineRunStore {
  const store = storeOn(new SqliteDatabase({ file, ownFolder, patience }));
  cleanups.push(() => close(store));
  return store;
}

runStoreContract(
  "runs in SQLite",
  async (leaseMs) =>
    storeOn(
      new SqliteDatabase({ file: join(root, `${folders}`, "runs.db"), ownFolder: true }),
      leaseMs,
    ),
  async () => void newFolder(),
);

/** Whether this process may mount file systems. */
const mounts = ((): boolean => {
  try {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-mount-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], { stdio: "ignore" });
    execFileSync("umount", [folder], { stdio: "ignore" });
    rmSync(folder, { recursive: true });
    return true;
  } catch {
    return false;
  }
})();

/** A file system of its own. */
function mounted(size: string): { folder: string; remount: (options: string) => void } {
  const folder = newFolder();
  mkdirSync(folder);
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder]);
  cleanups.push(() => execFileSync("umount", [folder]));
  const remount = (options: string): void =>
    void execFileSync("mount", ["-o", `remount,${options}`, folder]);
  return { folder, remount };
}

/** Milliseconds that a test may take on a busy machine. */
const slow = { timeout: 60_000 };

describe("the file of a run store", slow, () => {
  it.skipIf(process.platform === "win32")("is for its owner alone, as is its folder", async () => {
    const folder = newFolder();
    mkdirSync(folder, { mode: 0o755 });
    const file = join(folder, "runs.db");
    writeFileSync(file, "", { mode: 0o644 });
    await open(file).begin(newRun());
    const modes = ["", "runs.db", "runs.db-wal", "runs.db-shm"].map((name) =>
      (statSync(join(folder, name)).mode & 0o777).toString(8),
    );
    expect(modes).toEqual(["700", "600", "600", "600"]);
  });

  it.skipIf(process.platform === "win32")(
    "leaves the mode of a folder that is not ours",
    async () => {
      const folder = newFolder();
      mkdirSync(folder, { mode: 0o755 });
      await open(join(folder, "other.db"), 5000, false).begin(newRun());
      expect((statSync(folder).mode & 0o777).toString(8)).toBe("755");
      expect((statSync(join(folder, "other.db")).mode & 0o777).toString(8)).toBe("600");
    },
  );

  it("waits on each commit for the disk, and waits for locks", async () => {
    const file = join(newFolder(), "runs.db");
    const seen = await new SqliteDatabase({ file, ownFolder: true }).read(async ({ rows }) => [
      ...(await rows("PRAGMA journal_mode")),
      ...(await rows("PRAGMA synchronous")),
      ...(await rows("PRAGMA foreign_keys")),
    ]);
    expect(seen).toMatchObject([{ journal_mode: "wal" }, { synchronous: 2 }, { foreign_keys: 1 }]);
  });

  it("has the tables that the engine's own migrations make", async () => {
    const engine = new URL(
      "../../../node_modules/openworkflow/dist/sqlite/sqlite.js",
      import.meta.url,
    );
    const { migrations } = (await import(engine.href)) as { migrations: () => string[] };
    const schemaOf = (statements: readonly string[]): unknown => {
      const db = new Libsql(":memory:");
      for (const statement of statements) db.exec(statement);
      const things = db
        .prepare(`SELECT "type", "name", "sql" FROM "sqlite_master" ORDER BY "name"`)
        .all([]) as { type: string; name: string; sql: string | null }[];
      const versions = db.prepare(`SELECT "version" FROM "openworkflow_migrations"`).raw().all([]);
      db.close();
      const sql = (text: string | null): string =>
        (text ?? "").replaceAll(/--.*$/gm, "").replaceAll(/\s+/g, "").replace("IFNOTEXISTS", "");
      return [things.map((thing) => [thing.type, thing.name, sql(thing.sql)]), versions];
    };
    expect(schemaOf([engineTables])).toEqual(schemaOf(migrations()));
    expect(migrations()).toHaveLength(engineVersion + 1);
  });
});

describe(
  "a run store says what is wrong with its file, and is of use again afterwards",
  slow,
  () => {
    it("where it is something else, which it leaves as it is", async () => {
      const folder = newFolder();
      mkdirSync(folder);
      const file = join(folder, "runs.db");
      const text = "dear diary\n".repeat(1000);
      writeFileSync(file, text);
      const store = open(file);
      for (const use of [
        () => store.begin(newRun()),
        () => store.get(newRun().name),
        () => store.list({}),
      ])
        await use().catch((error: unknown) => expect(error).toMatchObject(failed));
      await expect(store.begin(newRun())).rejects.toThrow(
        `the run store ${file} is damaged: file is not a database; end Holdfast and move it away to begin a new one`,
      );
      expect(readFileSync(file, "utf8")).toBe(text);
      renameSync(file, `${file}.bad`);
      expect((await store.begin(newRun())).isNew).toBe(true);
    });

    it.each(["cut off", "overwritten"])("where it is %s", async (how) => {
      const file = join(newFolder(), "runs.db");
      const first = open(file);
      for (let n = 0; n < 50; n++) await first.begin(newRun({ input: { text: "x".repeat(5000) } }));
      await close(first);
      const { size } = statSync(file);
      if (how === "cut off") truncateSync(file, size / 2 - 100);
      else {
        const bytes = readFileSync(file);
        bytes.fill(7, 8192, size - 8192);
        writeFileSync(file, bytes);
      }
      const store = open(file);
      for (let n = 0; n < 2; n++)
        await expect(store.list({ limit: 100 })).rejects.toMatchObject({
          name: "StoreFailed",
          message: expect.stringMatching(
            / is damaged: .*; end Holdfast and move it away/,
          ) as string,
        });
      await close(store);
      renameSync(file, `${file}.bad`);
      expect((await open(file).begin(newRun())).isNew).toBe(true);
    });

    it("where another program has it locked for too long", async () => {
      const file = join(newFolder(), "runs.db");
      const store = open(file, 1);
      const { run } = await store.begin(newRun());
      const other = new Libsql(file);
      other.exec("BEGIN EXCLUSIVE");
      await expect(store.intend(run.id, "a", {})).rejects.toMatchObject({
        name: "StoreFailed",
        message: `the run store ${file} was locked by another program for 0.001 s`,
      });
      other.exec("ROLLBACK");
      other.close();
      await store.intend(run.id, "a", {});
      expect(await store.journal(run.id)).toHaveLength(1);
    });

    it("where its folder cannot be made", async () => {
      const folder = newFolder();
      writeFileSync(folder, "");
      const file = join(folder, "runs.db");
      const store = open(file);
      await expect(store.begin(newRun())).rejects.toMatchObject({
        name: "StoreFailed",
        message: expect.stringContaining(`the run store ${file} cannot be used: EEXIST`) as string,
      });
      rmSync(folder);
      expect((await store.begin(newRun())).isNew).toBe(true);
    });

    it("where it is a folder", async () => {
      const file = newFolder();
      mkdirSync(file);
      await expect(open(file, 5000, false).begin(newRun())).rejects.toMatchObject(failed);
    });

    it("where another version has made it", async () => {
      const file = join(newFolder(), "runs.db");
      await open(file).list({});
      const other = new Libsql(file);
      other.exec(`INSERT INTO "openworkflow_migrations" ("version") VALUES (6)`);
      await expect(open(file).list({})).rejects.toThrow("made by another version of Holdfast");
      other.exec(`DELETE FROM "openworkflow_migrations" WHERE "version" = 6`);
      other.close();
    });

    it.runIf(mounts)("where its disk is full", async () => {
      const { folder, remount } = mounted("2m");
      const file = join(folder, "runs.db");
      const store = open(file);
      const large = newRun({ input: { text: "x".repeat(300_000) } });
      const kept: string[] = [];
      const fill = async (): Promise<void> => {
        for (;;) kept.push((await store.begin(large)).run.id);
      };
      await expect(fill()).rejects.toMatchObject({
        name: "StoreFailed",
        message: `the disk of the run store ${file} is full`,
      });
      await expect(store.begin(large)).rejects.toMatchObject(failed);
      const listed = (await store.list({})).map(({ id }) => id);
      expect(listed.toSorted()).toEqual(kept.toSorted());
      remount("size=16m");
      expect((await store.begin(large)).isNew).toBe(true);
    });

    it.runIf(mounts)("where its disk cannot be written", async () => {
      const { folder, remount } = mounted("16m");
      const file = join(folder, "runs.db");
      const first = open(file);
      await first.begin(newRun());
      await close(first);
      remount("ro");
      const store = open(file, 5000, false);
      await expect(store.begin(newRun())).rejects.toMatchObject({
        name: "StoreFailed",
        message: expect.stringContaining("read-only file system") as string,
      });
      remount("rw");
      expect((await store.begin(newRun())).isNew).toBe(true);
    });
  },
);

describe("runs that another version has written", () => {
  it("are read as far as they can be", async () => {
    const file = join(newFolder(), "runs.db");
    const store = open(file);
    const { run } = await store.begin(newRun());
    const entry = await store.intend(run.id, "a", {});
    const other = new Libsql(file);
    for (const odd of [`{}`, `[]`, `"x"`, `{"state":"paused","principal":1}`, `not JSON`]) {
      other.exec(`UPDATE "step_attempts" SET "config" = '${odd}'`);
      expect(await store.journal(run.id)).toMatchObject([{ id: entry, intent: {}, token: "" }]);
      if (odd === "not JSON") break;
      other.exec(
        `UPDATE "workflow_runs" SET "config" = '${odd}', "context" = '${odd}', "input" = '${odd}', "output" = '${odd}'`,
      );
      const seen = {
        id: run.id,
        state: "stuck",
        caller: { principal: "" },
        input: {},
        outcome: {},
      };
      expect(await store.get(run.id)).toMatchObject(seen);
      expect(await store.list({})).toMatchObject([seen]);
    }
    other.close();
  });
});
