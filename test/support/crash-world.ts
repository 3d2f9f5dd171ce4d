import { join } from "node:path";
import Libsql from "libsql";
import type { JsonObject } from "../../src/call.ts";
import { configFile, startGateway, temporaryFolder } from "./gateway.ts";
import { ledgerOf, orderServers, type LedgerEntry } from "./order.ts";
import type { RawClient } from "./raw-client.ts";
import { accountProblems, crashConfig, type RunView, type Variant } from "./sagas.ts";

/** What is written of runs, and what has happened to the world outside. */
export interface Counts {
  readonly intents: number;
  readonly effects: number;
  readonly results: number;
  /** Runs that have ended or are stuck. */
  readonly settled: number;
  readonly runs: number;
}

/** The one folder in which gateways live and die, with its servers' ledgers. */
export class CrashWorld {
  readonly state = temporaryFolder();
  readonly ledgers = join(this.state, "ledgers");
  readonly #file: string;
  #keys = 0;

  constructor(config: JsonObject = {}) {
    this.#file = configFile(crashConfig(this.ledgers, config));
  }

  async start(environment: NodeJS.ProcessEnv = {}): Promise<Life> {
    const env = { HOLDFAST_STATE_DIR: this.state, ...environment };
    const client = startGateway(this.#file, env);
    await client.initialize();
    return new Life(client, () => `key ${++this.#keys}`);
  }

  /** What all servers have done. */
  get ledger(): LedgerEntry[] {
    const keyed = join(this.ledgers, "keyed");
    return [
      ...orderServers.flatMap((name) => ledgerOf(this.ledgers, name)),
      ...ledgerOf(keyed, "payments"),
    ];
  }

  /** As the database has it; nothing where there is none yet. */
  counts(): Counts {
    const [counted] = this.#read(
      `SELECT (SELECT COUNT(*) FROM "step_attempts") AS "intents",
         (SELECT COUNT("finished_at") FROM "step_attempts") AS "results",
         (SELECT COUNT(*) FROM "workflow_runs") AS "runs",
         (SELECT COUNT(*) FROM "workflow_runs"
          WHERE "config"->>'state' NOT IN ('running', 'compensating')) AS "settled"`,
    ) as Omit<Counts, "effects">[];
    return {
      intents: 0,
      results: 0,
      settled: 0,
      runs: 0,
      ...counted,
      effects: this.ledger.length,
    };
  }

  /** The names of all that is in journals beside calls. */
  notes(): unknown[] {
    const sql = `SELECT "step_name" AS "name" FROM "step_attempts" WHERE "step_name" LIKE 'note:%'`;
    return this.#read(sql).map(({ name }) => name);
  }

  /** Rows of the database; none while it or its tables are not there. */
  #read(sql: string): Record<string, unknown>[] {
    let db: Libsql.Database | undefined;
    try {
      db = new Libsql(join(this.state, "runs.db"), { readonly: true, fileMustExist: true });
      return db.prepare(sql).all([]) as Record<string, unknown>[];
    } catch {
      return [];
    } finally {
      db?.close();
    }
  }

  /** Waits until the counts are as `condition` wants them. */
  async until(condition: (counts: Counts) => boolean, patience = 60_000): Promise<Counts> {
    const last = performance.now() + patience;
    for (;;) {
      const counts = this.counts();
      if (condition(counts)) return counts;
      if (performance.now() > last) throw new Error(`waited in vain: ${JSON.stringify(counts)}`);
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
  }
}

/** A gateway, from its start to its end. */
export class Life {
  readonly client: RawClient;
  readonly #nextKey: () => string;

  constructor(client: RawClient, nextKey: () => string) {
    this.client = client;
    this.#nextKey = nextKey;
  }

  /** Has a run begun; the id where that was answered before the gateway ended. */
  async begin({ name, input }: Variant): Promise<string | undefined> {
    const call = this.client.call(
      "holdfast__run_saga",
      { name, input, waitMs: 0 },
      { "holdfast/idempotency-key": this.#nextKey() },
    );
    const result = await Promise.race([call, this.client.exited.then((): JsonObject => ({}))]);
    const { id } = (result["structuredContent"] ?? {}) as { id?: string };
    return id;
  }

  async kill(): Promise<void> {
    this.client.child.kill("SIGKILL");
    await this.client.exited;
  }

  async runs(): Promise<RunView[]> {
    const { structuredContent } = await this.client.call("holdfast__list_runs", { limit: 1000 });
    return (structuredContent as { runs: RunView[] }).runs;
  }

  async get(id: string): Promise<RunView> {
    const { structuredContent } = await this.client.call("holdfast__get_run", { id });
    return structuredContent as RunView & JsonObject;
  }

  /** Waits until no run is on its way, and answers all of them. Those that are stuck have their steps. */
  async settled(patience = 60_000): Promise<RunView[]> {
    const last = performance.now() + patience;
    for (;;) {
      const runs = await this.runs();
      const moving = runs.filter(isMoving);
      if (moving.length === 0)
        return Promise.all(
          runs.map(async (run) => (run.state === "stuck" ? this.get(run.id) : run)),
        );
      if (performance.now() > last)
        throw new Error(`these do not come to an end: ${JSON.stringify(moving)}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}

/** Whether a run goes on by itself. */
export const isMoving = ({ state, reason }: RunView): boolean =>
  state === "running" || state === "compensating" || reason === "missing";

/** What is wrong in a world in which all has settled; empty where all is well. */
export async function problemsIn(
  world: CrashWorld,
  life: Life,
  begun: readonly string[],
  ends?: readonly string[],
): Promise<string[]> {
  const runs = await life.settled();
  const ids = new Set(runs.map(({ id }) => id));
  return [
    ...begun.filter((id) => !ids.has(id)).map((id) => `the run ${id} was answered, and is lost`),
    ...accountProblems(world.ledger, runs, ends),
  ];
}
