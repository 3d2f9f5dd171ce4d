import { randomUUID } from "node:crypto";
import { runStoreContract } from "./contract.ts";
import { postgresHere } from "../../support/postgres.ts";
import { PostgresDatabase } from "../../../src/stores/runs/postgres.ts";
import { afterAll, describe } from "vitest";
import { storeOn } from "./runs.ts";

const server = await postgresHere();
const schema = `runs_${randomUUID().replaceAll("-", "")}`;
afterAll(() => server?.run(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`));

describe.skipIf(server === undefined)("with a PostgreSQL server", () => {
  runStoreContract(
    "runs in PostgreSQL",
    async (leaseMs) => storeOn(new PostgresDatabase(server?.url ?? "", schema), leaseMs),
    async () => server?.run(`DELETE FROM "${schema}"."workflow_runs"`),
  );
});
