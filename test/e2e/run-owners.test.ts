import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import Libsql from "libsql";
import { describe, expect, it } from "vitest";
import type { RunStoreOptions } from "../../src/stores/runs/open-run-store.ts";
import type { JournalEntry, RunStore, StoredRun } from "../../src/workflows/run-store.ts";
import { lost, newRun } from "../stores/runs/runs.ts";
import { atTestEnd, root, temporaryFolder } from "../support/gateway.ts";
import { postgresHere } from "../support/postgres.ts";
import { until } from "../support/stubborn.ts";
import { builtRunStore } from "../support/build.ts";
import { openRunStoreBuilt, runOwner, type RunOwner } from "../support/run-owner.ts";

const openRunStore = await openRunStoreBuilt();
const server = await postgresHere();

type Where = Pick<RunStoreOptions, "where" | "folder"> & { readonly schema: string };
interface Begun {
  readonly run: StoredRun;
  readonly isNew: boolean;
}

let schemas = 0;
/** A place without runs. */
function place(kind: string): Where {
  const schema = `owners_${process.pid}_${++schemas}`;
  if (kind === "SQLite") return { where: "sqlite", folder: temporaryFolder(), schema };
  atTestEnd(() => server?.run(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`));
  return { where: server?.url ?? "", folder: "", schema };
}

function storeHere(where: Where, leaseMs = 30_000): RunStore {
  const store = openRunStore({ ...where, leaseMs, onProblem: () => {} });
  atTestEnd(() => store.close());
  return store;
}

const begin = async (owner: RunOwner, over = {}): Promise<StoredRun> =>
  (await owner.call<Begun>("begin", newRun(over))).run;

/** Polls until there is one to claim. */
async function claimed(store: RunStore): Promise<StoredRun> {
  const end = Date.now() + 20_000;
  for (;;) {
    const run = await store.claim();
    if (run !== undefined) return run;
    if (Date.now() > end) throw new Error("nothing to claim");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const kinds = server === undefined ? ["SQLite"] : ["SQLite", "PostgreSQL"];

describe.each(kinds)("several processes with one run store in %s", (kind) => {
  it("make it when they all start at once", async () => {
    for (let round = 0; round < 3; round++) {
      const where = place(kind);
      const owners = Array.from({ length: 4 }, () => runOwner(where));
      const runs = await Promise.all(owners.map((owner) => begin(owner)));
      const listed = await storeHere(where).list({});
      expect(listed.map(({ id }) => id).toSorted()).toEqual(runs.map(({ id }) => id).toSorted());
      await Promise.all(owners.map((owner) => owner.kill()));
    }
  });

  it.runIf(process.platform === "linux")(
    "go on at once with the runs of one that was killed",
    async () => {
      const where = place(kind);
      const [owner, living] = [runOwner(where), runOwner(where)];
      const runs = [await begin(owner), await begin(owner)];
      const of = runs[0]?.id ?? "";
      const entry = await owner.call<string>("intend", of, "charge", { amount: 1 });
      await owner.call("conclude", of, entry, { paid: true });
      await owner.call("intend", of, "ship", {});
      const kept = await begin(living);
      const store = storeHere(where);
      expect([await store.freeDead(), await store.claim()]).toEqual([0, undefined]);

      const token = await owner.call<string>("token");
      await owner.kill();
      expect(await store.freeDead()).toBe(2);
      const ids = [await store.claim(), await store.claim()].map((run) => run?.id ?? "");
      expect(ids.toSorted()).toEqual(runs.map(({ id }) => id).toSorted());
      expect(await store.claim()).toBeUndefined();
      expect(await store.journal(of)).toMatchObject([
        { name: "charge", token, result: { paid: true } },
        { name: "ship", token },
      ]);
      await living.call("finish", kept.id, "completed", {});
    },
  );

  it("keep all that was written when one is killed in the middle of its writes", async () => {
    const where = place(kind);
    const store = storeHere(where);
    const written: string[][] = [];
    const ids: string[] = [];
    for (let round = 0; round < 5; round++) {
      const owner = runOwner(where);
      const { id } = await begin(owner);
      ids.push(id);
      const entries: string[] = [];
      written.push(entries);
      const write = async (): Promise<void> => {
        for (;;) {
          const entry = await owner.call<string>("intend", id, "a", {});
          await owner.call("conclude", id, entry, { text: "x".repeat(20_000) });
          entries.push(entry);
        }
      };
      // It never ends: its owner answers no more.
      void write().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 100));
      await owner.kill();
    }
    for (const [n, id] of ids.entries()) {
      const journal = await store.journal(id);
      const concluded = journal.filter(({ result }) => result !== undefined);
      expect(concluded.map((entry) => entry.id)).toEqual(
        expect.arrayContaining(written[n] ?? []) as string[],
      );
      expect(journal.length - (written[n]?.length ?? 0)).toBeLessThanOrEqual(1);
    }
    if (process.platform === "linux") expect(await store.freeDead()).toBe(ids.length);
  });

  it("claim each run once", async () => {
    const where = place(kind);
    const store = storeHere(where);
    const ids = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const { run } = await store.begin(newRun());
        await store.release(run.id);
        return run.id;
      }),
    );
    const owners = [runOwner(where), runOwner(where), runOwner(where)];
    const all = await Promise.all(
      owners.map(async (owner) => {
        const claims: string[] = [];
        for (;;) {
          const run = await owner.call<StoredRun | undefined>("claim");
          if (run === undefined) return claims;
          claims.push(run.id);
          await owner.call("conclude", run.id, await owner.call("intend", run.id, "a", {}), {});
          await owner.call("finish", run.id, "completed", {});
        }
      }),
    );
    expect(all.flat().toSorted()).toEqual(ids.toSorted());
    const journals = await Promise.all(ids.map((id) => store.journal(id)));
    expect(journals.map((entries) => entries.length)).toEqual(ids.map(() => 1));
  });

  it("begin one run of a key", async () => {
    const where = place(kind);
    const owners = [runOwner(where), runOwner(where), runOwner(where)];
    const given = newRun({ key: "k" });
    const begun = await Promise.all(
      owners.flatMap((owner) => [1, 2, 3].map(() => owner.call<Begun>("begin", given))),
    );
    expect(begun.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect(new Set(begun.map(({ run }) => run.id)).size).toBe(1);
  });

  it("leave commands for each other", async () => {
    const where = place(kind);
    const owner = runOwner(where);
    const { id } = await begin(owner);
    const store = storeHere(where);
    expect(await store.command(id, { do: "cancel" })).toBe(true);
    expect(await owner.call("takeCommand", id)).toEqual({ do: "cancel" });
    await owner.call("park", id, { why: "x" });
    expect(await store.claim()).toBeUndefined();
    expect(await owner.call("command", id, { do: "resume" })).toBe(true);
    expect(await store.claim()).toMatchObject({ id, state: "stuck", outcome: { why: "x" } });
    expect(await store.takeCommand(id)).toEqual({ do: "resume" });
  });

  it.skipIf(process.platform === "win32")(
    "take over from one that is paused, which then writes nothing",
    async () => {
      const where = place(kind);
      // Long enough that it is hardly paused while it renews the lease, and keeps all others out.
      const owner = runOwner({ ...where, leaseMs: 1500 });
      const { id } = await begin(owner);
      owner.child.kill("SIGSTOP");
      const store = storeHere(where);
      expect(await store.freeDead()).toBe(0);
      expect((await claimed(store)).id).toBe(id);
      owner.child.kill("SIGCONT");
      await expect(owner.call("intend", id, "late", {})).rejects.toMatchObject(lost);
      expect(await store.journal(id)).toEqual([]);
      await store.finish(id, "completed", {});
    },
  );

  it.skipIf(process.platform === "win32")(
    "renew a lease after a pause before they go on",
    async () => {
      const where = place(kind);
      const leaseMs = 300;
      const owner = runOwner({ ...where, leaseMs });
      const { id } = await begin(owner);
      owner.child.kill("SIGSTOP");
      await new Promise((resolve) => setTimeout(resolve, 2 * leaseMs));
      owner.child.kill("SIGCONT");
      await owner.call<string>("intend", id, "on", {});
      const journal = await owner.call<JournalEntry[]>("journal", id);
      expect(journal.map(({ name }) => name)).toEqual(["on"]);
      // It goes on renewing it.
      const store = storeHere(where);
      await new Promise((resolve) => setTimeout(resolve, 2 * leaseMs));
      await owner.call("finish", id, "completed", {});
      expect(await store.claim()).toBeUndefined();
    },
  );
});

describe("a run store", () => {
  it("delays nothing else while its file is locked", async () => {
    const where = place("SQLite");
    const store = storeHere(where);
    const { run } = await store.begin(newRun());
    const other = new Libsql(join(where.folder, "runs.db"));
    other.exec("BEGIN EXCLUSIVE");
    let [ticks, done] = [0, false];
    const ticking = setInterval(() => ticks++, 10);
    const intended = store.intend(run.id, "a", {}).then(() => (done = true));
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(done).toBe(false);
    expect(ticks).toBeGreaterThan(30);
    other.exec("COMMIT");
    other.close();
    await intended;
    clearInterval(ticking);
    expect(await store.journal(run.id)).toHaveLength(1);
  });

  it("says once that leases cannot be renewed, and again when they could be in between", async () => {
    const where = place("SQLite");
    const problems: string[] = [];
    const store = openRunStore({
      ...where,
      leaseMs: 30,
      onProblem: (problem) => problems.push(problem),
    });
    atTestEnd(() => store.close());
    await store.begin(newRun());
    const other = new Libsql(join(where.folder, "runs.db"));
    atTestEnd(() => other.close());
    other.exec("PRAGMA busy_timeout = 5000");
    for (let n = 1; n <= 2; n++) {
      other.exec(`ALTER TABLE "workflow_runs" RENAME TO "gone"`);
      await until("told", () => problems.length === n);
      await new Promise((resolve) => setTimeout(resolve, 100));
      other.exec(`ALTER TABLE "gone" RENAME TO "workflow_runs"`);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(problems).toHaveLength(2);
    expect(problems[0]).toMatch(
      /^the leases of runs cannot be renewed: the run store .*no such table/,
    );
  });

  it("lets its process end, and writes nothing to stdout", async () => {
    for (const kind of kinds) {
      const { where, folder, schema } = place(kind);
      const script = `
        import { openRunStore } from ${JSON.stringify(builtRunStore)};
        const options = ${JSON.stringify({ where, folder, schema })};
        const store = openRunStore({ ...options, onProblem: () => {} });
        const { run } = await store.begin(${JSON.stringify(newRun())});
        await store.finish(run.id, "completed", {});`;
      const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
        cwd: root,
        stdio: ["ignore", "pipe", "pipe"],
      });
      atTestEnd(() => child.kill("SIGKILL"));
      let output = "";
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
      expect(await once(child, "exit")).toEqual([0, null]);
      expect(output).toBe("");
      expect(await storeHere({ where, folder, schema }).list({})).toHaveLength(1);
    }
  });

  it("starts nothing before it is used", async () => {
    const store = storeHere({
      where: "postgres://nobody:secret@127.0.0.1:1/x",
      folder: "",
      schema: "x",
    });
    await store.close();
    expect(() => storeHere({ where: "redis://x", folder: "", schema: "x" })).toThrow(
      "runs can be kept in",
    );
  });
});
