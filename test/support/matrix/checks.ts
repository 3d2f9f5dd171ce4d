import type { Bench, Cell } from "./cell.ts";
import { askingChecks } from "./checks-asking.ts";
import { listChecks } from "./checks-lists.ts";
import { noticeChecks } from "./checks-notices.ts";
import { toolChecks } from "./checks-tools.ts";

/** Something that works directly, and so has to work through the gateway. */
export interface Check {
  readonly name: string;
  /** Why it cannot be in that cell; undefined where it can. */
  readonly impossible?: (cell: Cell) => string | undefined;
  /** Whether the gateway takes its time, so that all servers are checked at once. Default: false. */
  readonly isSlow?: boolean;
  readonly run: (bench: Bench) => Promise<void>;
}

export const checks: readonly Check[] = [
  ...listChecks,
  ...toolChecks,
  ...askingChecks,
  ...noticeChecks,
];
