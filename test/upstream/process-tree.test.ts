import { describe, expect, it } from "vitest";
import type { ProcessInfo, ProcessTable } from "../../src/upstream/process-table.ts";
import { descendants, treeOf, type TreeRoot } from "../../src/upstream/process-tree.ts";

type Row = readonly [pid: number, ppid: number, pgid: number, start: number, marks?: string[]];

/** A table of rows; the first process is there always, our gateway is 10, its terminal 5. */
const table = (...rows: Row[]): ProcessTable =>
  new Map(
    ([[1, 0, 1, 0], [5, 1, 5, 1], [10, 5, 5, 2], ...rows] satisfies Row[]).map(
      ([pid, ppid, pgid, start, marks]: Row): [number, ProcessInfo] => [
        pid,
        { pid, ppid, pgid, startTime: `${start}@boot`, ...(marks !== undefined && { marks }) },
      ],
    ),
  );

const root = (over: Partial<TreeRoot> = {}): TreeRoot => ({
  pid: 20,
  startTime: "100@boot",
  mark: "m",
  fresh: false,
  ...over,
});

const pidsOf = (processes: readonly ProcessInfo[]): number[] =>
  processes.map(({ pid }) => pid).toSorted((a, b) => a - b);

describe("descendants", () => {
  it("are children and theirs, whatever their group, and not the process itself", () => {
    const processes = table([20, 10, 20, 3], [21, 20, 20, 4], [22, 21, 22, 5], [30, 10, 30, 3]);
    expect(pidsOf(descendants(processes, 20))).toEqual([21, 22]);
    expect(pidsOf(descendants(processes, 10))).toEqual([20, 21, 22, 30]);
    expect(descendants(processes, 22)).toEqual([]);
  });

  it("of a process that has ended are those that still name it, where the system leaves it so", () => {
    expect(pidsOf(descendants(table([21, 20, 0, 4], [22, 21, 0, 5]), 20))).toEqual([21, 22]);
  });

  it("are never older than their parent: its pid was another's when they started", () => {
    expect(descendants(table([20, 10, 0, 50], [21, 20, 0, 4]), 20)).toEqual([]);
  });

  it("end where parents go round in a circle", () => {
    expect(pidsOf(descendants(table([20, 22, 0, 5], [21, 20, 0, 5], [22, 21, 0, 5]), 20))).toEqual([
      21, 22,
    ]);
  });
});

describe("a tree", () => {
  it("is the root, its descendants in any group, and its group", () => {
    const processes = table(
      [20, 10, 20, 100],
      [21, 20, 20, 101],
      [22, 21, 22, 102], // in a group of its own
      [23, 1, 20, 103], // its parent has ended
      [24, 23, 24, 104],
      [30, 10, 30, 100],
    );
    expect(pidsOf(treeOf(processes, root()))).toEqual([20, 21, 22, 23, 24]);
    expect(pidsOf(treeOf(processes, root({ startTime: undefined, fresh: true })))).toEqual([
      20, 21, 22, 23, 24,
    ]);
  });

  it("has what carries its mark, and its children, wherever they have gone", () => {
    const processes = table(
      [20, 10, 20, 100, ["m"]],
      [31, 1, 31, 101, ["outer", "m"]],
      [32, 31, 32, 102, []],
      [41, 1, 41, 101, ["m2"]],
      [42, 1, 42, 101, []],
    );
    expect(pidsOf(treeOf(processes, root()))).toEqual([20, 31, 32]);
    expect(pidsOf(treeOf(processes, root({ pid: 99 })))).toEqual([20, 31, 32]);
  });

  it("has what was known of it before, unless the pid is another process by now", () => {
    const known = [
      ...table([31, 20, 31, 101], [32, 20, 32, 102], [33, 20, 33, 103]).values(),
    ].slice(-3);
    const processes = table([31, 1, 31, 101], [32, 1, 32, 999], [34, 31, 34, 104]);
    expect(pidsOf(treeOf(processes, root(), known))).toEqual([31, 34]);
  });

  it("of a root whose pid is another process by now has nothing of that one", () => {
    const processes = table([20, 5, 20, 999], [21, 20, 20, 1000], [31, 1, 31, 101, ["m"]]);
    expect(pidsOf(treeOf(processes, root()))).toEqual([31]);
    expect(pidsOf(treeOf(processes, root({ fresh: true })))).toEqual([31]);
  });

  it("of a root that ended just now has all of its group", () => {
    const processes = table([21, 1, 20, 101, []], [22, 7, 20, 102, []]);
    expect(pidsOf(treeOf(processes, root({ fresh: true })))).toEqual([21, 22]);
  });

  it("of a root that ended some time ago has its group when a member is known to be its own", () => {
    const marked = table([21, 1, 20, 101, ["m"]], [22, 1, 20, 102, []]);
    expect(pidsOf(treeOf(marked, root()))).toEqual([21, 22]);
    const unmarked = table([21, 1, 20, 101, []], [22, 1, 20, 102, []]);
    expect(treeOf(unmarked, root())).toEqual([]);
    const known = { pid: 22, ppid: 20, pgid: 20, startTime: "102@boot" };
    expect(pidsOf(treeOf(unmarked, root(), [known]))).toEqual([21, 22]);
  });

  it("has that group, where marks cannot be read, when nobody but the first process is its parent", () => {
    expect(pidsOf(treeOf(table([21, 1, 20, 101], [22, 21, 20, 102]), root()))).toEqual([21, 22]);
    // A shell's pipeline, whose first command has ended.
    expect(treeOf(table([21, 1, 20, 101], [22, 5, 20, 102]), root())).toEqual([]);
  });

  it("never has the machine's first process", () => {
    expect(
      treeOf(table(), root({ pid: 1, startTime: "0@boot" })).map(({ pid }) => pid),
    ).not.toContain(1);
  });

  it("of a root that is not there is empty", () => {
    expect(treeOf(table([30, 10, 30, 100]), root())).toEqual([]);
    expect(treeOf(new Map(), root({ fresh: true }))).toEqual([]);
  });
});
