import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import {
  markedTable,
  markVariable,
  orphansOf,
  parseCim,
  parseMarks,
  parsePs,
  parseStat,
  processTable,
  startTimeOf,
  stillRuns,
  type ProcessInfo,
} from "../../src/upstream/process-table.ts";
import { kill, temporaryFolder, until } from "../support/stubborn.ts";

const linux = process.platform === "linux";
const children: ChildProcess[] = [];
afterEach(() => children.splice(0).forEach(({ pid }) => kill(pid)));

/** A process that waits, and has said that it does. */
async function waiting(command = process.execPath, env: NodeJS.ProcessEnv = {}): Promise<number> {
  const child = spawn(command, ["-e", "console.log(1); setTimeout(() => {}, 60_000)"], {
    env: { ...process.env, ...env },
  });
  children.push(child);
  await once(child.stdout, "data");
  return child.pid ?? 0;
}

describe("/proc/PID/stat", () => {
  const rest =
    "1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 7 0 31415 1024 5 18446744073709551615 1 1 0 0";

  it("tells parent, group and start, whatever the program is called", () => {
    for (const name of ["node", "a b", "x) Z 9 (y", "((", "))", "line\nbreak", ""])
      expect(parseStat(`42 (${name}) S ${rest}`, "boot")).toEqual({
        pid: 42,
        ppid: 1,
        pgid: 42,
        startTime: "31415@boot",
      });
  });

  it("of one that has ended is none, but of one whose first thread alone has ended it is", () => {
    const alone = rest.replace(" 7 0 31415", " 1 0 31415");
    expect(parseStat(`42 (x) Z ${alone}`, "boot")).toBeUndefined();
    expect(parseStat(`42 (x) X ${rest}`, "boot")).toBeUndefined();
    expect(parseStat(`42 (x) Z ${rest}`, "boot")).toMatchObject({ pid: 42 });
    expect(parseStat(`42 (x) S ${alone}`, "boot")).toMatchObject({ pid: 42 });
  });

  it("that is cut off or no such file is none", () => {
    for (const text of ["", "42", "42 (x", "42 (x) S 1 42", "nonsense) of some kind"])
      expect(parseStat(text, "boot")).toBeUndefined();
  });
});

describe("what ps prints", () => {
  it("is read row by row; zombies and other text are left out", () => {
    const text = [
      "    1     0     1 Ss   Wed Nov  4 09:12:01 2026    ",
      "  501     1   501 S+   Fri Nov 20 23:59:59 2026",
      "  502   501   501 Z    Fri Nov 20 23:59:59 2026",
      "ps: something else",
      "",
    ].join("\n");
    expect([...parsePs(text).values()]).toEqual([
      { pid: 1, ppid: 0, pgid: 1, startTime: String(Date.UTC(2026, 10, 4, 9, 12, 1)) },
      { pid: 501, ppid: 1, pgid: 501, startTime: String(Date.UTC(2026, 10, 20, 23, 59, 59)) },
    ]);
    expect(parsePs("").size).toBe(0);
  });
});

describe("what Windows prints", () => {
  it("is read row by row, without process groups", () => {
    const text = "4 0 134078400000000000\r\n912 4 134078400123456789\r\n\r\nGet-CimInstance : no";
    expect([...parseCim(text).values()]).toEqual([
      { pid: 4, ppid: 0, pgid: 0, startTime: "134078400000000000" },
      { pid: 912, ppid: 4, pgid: 0, startTime: "134078400123456789" },
    ]);
  });
});

describe("marks", () => {
  it("are read out of an environment, the outer gateway's first", () => {
    expect(parseMarks(`A=1\0${markVariable}=outer,inner\0B=2\0`)).toEqual(["outer", "inner"]);
    expect(parseMarks(`X${markVariable}=no\0`)).toEqual([]);
    expect(parseMarks("")).toEqual([]);
  });
});

describe("possible orphans", () => {
  const info = (pid: number, ppid: number, start: number): ProcessInfo => ({
    pid,
    ppid,
    pgid: pid,
    startTime: `${start}@boot`,
  });
  const orphans = (...rows: ProcessInfo[]): number[] => {
    const table = new Map(rows.map((row) => [row.pid, row]));
    return rows.filter(orphansOf(table, 10)).map(({ pid }) => pid);
  };

  it("are what started after us and is a child of a forebear of ours, or of the first process", () => {
    expect(
      orphans(
        info(1, 0, 0),
        info(4, 1, 1), // a session's manager, which takes its orphans
        info(5, 4, 2),
        info(10, 5, 3), // we
        info(11, 10, 4), // our child
        info(12, 11, 5),
        info(20, 4, 6),
        info(21, 1, 6),
        info(22, 5, 6),
        info(23, 4, 2),
        info(24, 20, 7),
      ),
    ).toEqual([10, 20, 21, 22]);
  });

  it("are found where our own forebears are not to be seen, as in a container", () => {
    expect(orphans(info(1, 0, 0), info(10, 0, 3), info(21, 1, 6))).toEqual([10, 21]);
    expect(orphans(info(1, 0, 0), info(21, 1, 6))).toEqual([21]);
  });
});

describe("the table of this machine", () => {
  it("has this process and its child, with the name of the start that tells them from others", async () => {
    const pid = await waiting();
    const table = await processTable();
    expect(table.get(process.pid)).toMatchObject({ pid: process.pid, ppid: process.ppid });
    const child = table.get(pid);
    expect(child).toMatchObject({ pid, ppid: process.pid });
    expect((await processTable()).get(pid)).toEqual(child);
    if (linux) expect(startTimeOf(pid)).toBe(child?.startTime);
  });

  it("has a program under a name that is made to mislead", async () => {
    const command = join(temporaryFolder(), "x) Z 1 (y");
    symlinkSync(process.execPath, command);
    const pid = await waiting(command);
    expect((await processTable()).get(pid)).toMatchObject({ pid, ppid: process.pid });
  });

  it("has the marks on Linux, and elsewhere none", async () => {
    const pid = await waiting(process.execPath, { [markVariable]: "a,b" });
    const marks = linux ? ["a", "b"] : undefined;
    expect((await markedTable()).get(pid)?.marks).toEqual(marks);
    expect((await processTable()).get(pid)?.marks).toBeUndefined();
  });

  it("is looked up once for all who ask while another look is under way, and after they have asked", async () => {
    const first = processTable();
    const pid = await waiting();
    const [second, third] = [processTable(), processTable()];
    expect(await second).toBe(await third);
    expect(await second).not.toBe(await first);
    expect((await second).has(pid)).toBe(true);
  });

  it("loses a process that has ended", async () => {
    const pid = await waiting();
    const info = (await processTable()).get(pid);
    if (info === undefined) throw new Error("it is not in the table");
    expect(stillRuns(info)).toBe(true);
    kill(pid);
    await until("it has ended", () => !stillRuns(info));
    expect((await processTable()).has(pid)).toBe(false);
    expect(startTimeOf(pid)).toBeUndefined();
  });
});
