import { entriesOf, isObject } from "./json-value.ts";
import type { Finding } from "./problems.ts";

/** The names of Holdfast's own tools, which nothing in config can take. */
export const ownToolNames: readonly string[] = [
  "status",
  "run_chain",
  "run_saga",
  "plan_run",
  "get_run",
  "list_runs",
  "cancel_run",
  "resume_run",
  "resolve_run",
  "batch",
  "find_providers",
  "invalidate_cache",
  "publish_event",
  "subscribe_event",
  "unsubscribe_event",
  "query_events",
  "query_audit",
  "flush_events",
  "search_tools",
  "describe_tool",
  "call_tool",
  "read_result",
];

const sections = ["groups", "chains", "sagas"] as const;

/** Names that are taken, of what config offers as tools of Holdfast's own prefix. */
export function checkOwnNames(root: unknown): Finding[] {
  const seen = new Map<string, string>(ownToolNames.map((name) => [name, "Holdfast's own tools"]));
  return sections.flatMap((section) =>
    entriesOf(isObject(root) ? root[section] : undefined).flatMap(([key]) => {
      const name = String(key);
      const owner = seen.get(name);
      seen.set(name, section);
      if (owner === undefined) return [];
      return [{ path: [section, name], message: `the name is taken by ${owner}` }];
    }),
  );
}
