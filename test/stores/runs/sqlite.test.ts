import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { SqliteDatabase } from "../../../src/stores/runs/sqlite.ts";
import { runStoreContract } from "./contract.ts";
import { storeOn } from "./runs.ts";

const root = mkdtempSync(join(tmpdir(), "holdfast-runs-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
runStoreContract(
  "runs in SQLite",
  async (leaseMs) =>
    storeOn(
      new SqliteDatabase({ file: join(root, `${folders}`, "runs.db"), ownFolder: true }),
      leaseMs,
    ),
  async () => void folders++,
);
