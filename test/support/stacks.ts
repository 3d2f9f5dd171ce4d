import { BudgetLedger } from "../../src/budget-ledger.ts";
import { compose, type Call, type Handle, type Result } from "../../src/call.ts";
import { resolvePolicies } from "../../src/config/policies.ts";
import type { Policies } from "../../src/config/schema.ts";
import { Epoch } from "../../src/epoch.ts";
import { stack, type StackOptions } from "../../src/policies/stack.ts";
import { MemoryStore } from "../../src/stores/memory.ts";
import { call, outcomeOf, recorder, tool } from "./calls.ts";

/** The whole stack, composed as a server's is, over a handle. */
export function wholeStack(
  handle: Handle,
  written: Policies = {},
  over: Partial<StackOptions> = {},
) {
  const { report, events, types } = recorder();
  const policies = resolvePolicies([written]);
  const executed: Call[] = [];
  const parts = stack({
    upstream: "up",
    report,
    policies,
    policiesOf: () => policies,
    allPolicies: [policies],
    middlewares: [],
    untilReady: () => undefined,
    supersedeKeyOf: undefined,
    coalesceKeyOf: undefined,
    verify: undefined,
    costOf: undefined,
    budgetsOf: () => [],
    ledger: new BudgetLedger("/nowhere/at/all", () => {}),
    spent: () => {},
    store: new MemoryStore({ maxEntries: 1000, maxBytes: 1_000_000 }),
    epoch: new Epoch(),
    onWrite: undefined,
    keep: () => Promise.reject(new Error("nothing is kept")),
    ...over,
  });
  const composed = compose(parts.middlewares, (received) => {
    executed.push(received);
    return handle(received);
  });
  const ask = (given: Partial<Call> = {}): Promise<Result | Error> =>
    outcomeOf(composed(call({ tool: tool({ effect: "read" }), ...given })));
  return { ask, executed, events, types, parts, composed };
}
