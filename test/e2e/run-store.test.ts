import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { openRunStoreBuilt } from "../support/run-owner.ts";
import { runStoreContract } from "../stores/runs/contract.ts";

const root = mkdtempSync(join(tmpdir(), "holdfast-runs-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const openRunStore = await openRunStoreBuilt();
let folders = 0;
runStoreContract(
  "runs in a thread of their own",
  async (leaseMs = 30_000) =>
    openRunStore({
      where: "sqlite",
      folder: join(root, `${folders}`),
      onProblem: () => {},
      leaseMs,
    }),
  async () => void folders++,
);
