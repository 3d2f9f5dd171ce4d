import { randomUUID } from "node:crypto";
import { createServer, type AddressInfo } from "node:net";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import type { EngineRunStore } from "../../../src/stores/runs/engine-run-store.ts";
import { PostgresDatabase } from "../../../src/stores/runs/postgres.ts";
import { postgresHere } from "../../support/postgres.ts";
import { runStoreContract } from "./contract.ts";
import { failed, newRun, storeOn } from "./runs.ts";

const server = await postgresHere();
const url = server?.url ?? "";
const schemas: string[] = [];
const cleanups: (() => unknown)[] = [];

function newSchema(): string {
  const schema = `runs_${randomUUID().replaceAll("-", "")}`;
  schemas.push(schema);
  return schema;
}

function open(schema: string, at = url): EngineRunStore {
  const store = storeOn(new PostgresDatabase(at, schema));
  cleanups.push(() => store.close());
  return store;
}

function database(patience?: number): PostgresDatabase {
  const opened = new PostgresDatabase(url, newSchema(), patience);
  cleanups.push(() => opened.close());
  return opened;
}

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

afterAll(async () => {
  for (const schema of schemas) await server?.run(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
});

/** The URL with another user. */
function asUser(user: string): string {
  const other = new URL(url);
  other.username = user;
  return other.href;
}

/** Milliseconds that a test may take on a busy machine. */
const slow = { timeout: 60_000 };

describe.skipIf(server === undefined)("with a PostgreSQL server", slow, () => {
  const contractSchema = newSchema();
  runStoreContract(
    "runs in PostgreSQL",
    async (leaseMs) => storeOn(new PostgresDatabase(url, contractSchema), leaseMs),
    async () => server?.run(`DELETE FROM "${contractSchema}"."workflow_runs"`),
  );

  it("makes its tables once where several start at once", async () => {
    const schema = newSchema();
    const stores = [open(schema), open(schema), open(schema), open(schema)];
    await Promise.all(stores.map((store) => store.begin(newRun())));
    expect(await open(schema).list({})).toHaveLength(4);
  });

  it("does many things at once", async () => {
    const store = open(newSchema());
    const runs = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const { run } = await store.begin(newRun());
        await Promise.all(
          [1, 2, 3].map(async (n) =>
            store.conclude(run.id, await store.intend(run.id, `s${n}`, { n }), { n }),
          ),
        );
        return run.id;
      }),
    );
    const journals = await Promise.all(runs.map((id) => store.journal(id)));
    for (const journal of journals) {
      expect(journal.map(({ intent }) => intent)).toEqual(journal.map(({ result }) => result));
      expect(journal).toHaveLength(3);
    }
  });

  it("goes on when its connections were ended", async () => {
    const schema = newSchema();
    const store = open(schema, `${url}?application_name=${schema}`);
    const { run } = await store.begin(newRun());
    const ends = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name = '${schema}'`;
    for (let n = 0; n < 5; n++) {
      await server?.run(ends);
      // The first after it may fail, and has written nothing then.
      await store.intend(run.id, `a${n}`, {}).catch((error: unknown) => {
        expect(error).toMatchObject(failed);
      });
      await store.intend(run.id, `b${n}`, {});
    }
    const names = (await store.journal(run.id)).map(({ name }) => name);
    expect(names.filter((name) => name.startsWith("b"))).toHaveLength(5);
  });

  it("does nothing outside of a transaction whose connection was lost", async () => {
    const lost = database();
    await lost.write(
      async ({ rows }) =>
        void (await rows(`CREATE TABLE ${lost.runs.replace("workflow_runs", "t")} (n INT)`)),
    );
    const table = lost.runs.replace("workflow_runs", "t");
    const insert = `INSERT INTO ${table} VALUES (1)`;
    const work = lost.write(async ({ rows, engine }) => {
      await rows(insert);
      await rows("SELECT pg_terminate_backend(pg_backend_pid())").catch(() => {});
      const late = [rows(insert), engine.getWorkflowRun({ workflowRunId: "x" })];
      expect((await Promise.allSettled(late)).map(({ status }) => status)).toEqual([
        "rejected",
        "rejected",
      ]);
    });
    await expect(work).rejects.toMatchObject({ ...failed, isInDoubt: false });
    expect(await lost.read(({ rows }) => rows(`SELECT * FROM ${table}`))).toEqual([]);
  });

  it("says that it does not know whether a transaction was kept whose end was not answered", async () => {
    const lost = database();
    const work = lost.write(async ({ rows }) => {
      await rows("CREATE TEMP TABLE t (n INT)");
      await rows(
        `CREATE FUNCTION pg_temp.ends() RETURNS trigger LANGUAGE plpgsql
         AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'`,
      );
      await rows(
        `CREATE CONSTRAINT TRIGGER last AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION pg_temp.ends()`,
      );
      await rows("INSERT INTO t VALUES (1)");
    });
    await expect(work).rejects.toMatchObject({ ...failed, isInDoubt: true });
  });

  it("keeps nothing of a transaction that fails", async () => {
    const failing = database();
    const table = failing.runs.replace("workflow_runs", "t");
    const work = failing.write(async ({ rows }) => {
      await rows(`CREATE TABLE ${table} (n INT)`);
      await rows("SELECT 1/0");
    });
    await expect(work).rejects.toThrow("division by zero");
    const [found] = await failing.read(({ rows }) => rows("SELECT to_regclass(?) AS t", [table]));
    expect(found).toEqual({ t: null });
  });

  it("does not wait for ever", async () => {
    const hasty = database(3000);
    await hasty.read(({ rows }) => rows("SELECT 1"));
    await expect(hasty.read(({ rows }) => rows("SELECT pg_sleep(60)"))).rejects.toMatchObject(
      failed,
    );
    expect(await hasty.read(({ rows }) => rows("SELECT 1 AS one"))).toEqual([{ one: 1 }]);
  });

  it("says that it has no right to make its tables, and makes them when it has", async () => {
    const schema = newSchema();
    const user = `${schema}_user`;
    await server?.run(`CREATE ROLE "${user}" LOGIN`);
    cleanups.push(() => server?.run(`DROP OWNED BY "${user}" CASCADE; DROP ROLE "${user}"`));
    const store = open(schema, asUser(user));
    for (let n = 0; n < 2; n++)
      await expect(store.begin(newRun())).rejects.toMatchObject({
        name: "StoreFailed",
        message: expect.stringMatching(/cannot be used: .*permission denied/) as string,
      });
    await server?.run(`GRANT CREATE ON DATABASE "${new URL(url).pathname.slice(1)}" TO "${user}"`);
    expect((await store.begin(newRun())).isNew).toBe(true);
  });
});

describe("a run store whose PostgreSQL server is not there", slow, () => {
  it("says where it should be, without the password", async () => {
    const store = open("holdfast", "postgres://anna:s3cret@127.0.0.1:1/runs?password=s3cret");
    const error = await store.begin(newRun()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      name: "StoreFailed",
      message: expect.stringContaining("the run store postgres://127.0.0.1:1/runs") as string,
    });
    expect(String(error)).not.toContain("s3cret");
    expect(String(error)).toContain("ECONNREFUSED");
  });

  it("is of no use where something else answers", async () => {
    const other = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => other.close());
    const { port } = other.address() as AddressInfo;
    const store = storeOn(new PostgresDatabase(`postgres://127.0.0.1:${port}/x`, "holdfast", 500));
    cleanups.push(() => store.close());
    await expect(store.get(randomUUID())).rejects.toMatchObject(failed);
  });
});
