import { runStoreContract } from "../stores/runs/contract.ts";
import { MemoryRunStore, RunShelf } from "./memory-run-store.ts";

let shelf = new RunShelf();
runStoreContract(
  "runs in memory",
  (leaseMs) => Promise.resolve(new MemoryRunStore(shelf, leaseMs)),
  () => {
    shelf = new RunShelf();
    return Promise.resolve();
  },
);
