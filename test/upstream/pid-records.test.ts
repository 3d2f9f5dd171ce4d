import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { PidRecords, reap } from "../../src/upstream/pid-records.ts";
import { markVariable, processTable, startTimeOf } from "../../src/upstream/process-table.ts";
import type { TreeRoot } from "../../src/upstream/process-tree.ts";
import {
  alive,
  family,
  kill,
  kinds,
  orphanKinds,
  stubbornOwner,
  temporaryFolder,
  until,
  type Family,
} from "../support/stubborn.ts";

vi.setConfig({ testTimeout: 60_000 });

let folder: string;
let processes: Family;
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = join(temporaryFolder(), "state", "pids");
  processes = family();
});
afterEach(() => children.splice(0).forEach(({ pid }) => kill(pid)));

const names = (): string[] => readdirSync(folder);
const read = (name: string): { owner: object; servers: object[] } =>
  JSON.parse(readFileSync(join(folder, name), "utf8")) as { owner: object; servers: object[] };
const server = (pid: number, over: Partial<TreeRoot> = {}): TreeRoot => ({
  pid,
  startTime: `${pid}@boot`,
  mark: `mark-${pid}`,
  fresh: true,
  ...over,
});
const startOf = async (pid: number): Promise<string> =>
  startTimeOf(pid) ?? (await processTable()).get(pid)?.startTime ?? "none";

function records(): { records: PidRecords; problems: string[] } {
  const problems: string[] = [];
  return { records: new PidRecords(folder, (problem) => problems.push(problem)), problems };
}

/** A child of this test, in a process group of its own, as a gateway starts servers. */
function spawnServer(mark: string, ...options: string[]): ChildProcess {
  const { command, args, env } = processes.program(...options);
  const child = spawn(command, args, {
    env: { ...env, [markVariable]: mark },
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  children.push(child);
  return child;
}

/** The record of a gateway that has ended. */
async function leaveRecord(...servers: TreeRoot[]): Promise<string> {
  const made = new PidRecords(folder, () => {});
  servers.forEach((one) => made.add(one));
  await made.written();
  const [name = ""] = names();
  const record = { ...read(name), owner: { pid: 2 ** 22 + 1, startTime: "1@another boot" } };
  writeFileSync(join(folder, name), JSON.stringify(record));
  return name;
}

describe("a record", () => {
  it("tells the owner and its servers, to nobody else", async () => {
    const { records: made, problems } = records();
    made.add(server(101));
    made.add(server(102));
    await made.written();
    const [name = "", ...others] = names();
    expect(others).toEqual([]);
    expect(name).toMatch(new RegExp(`^${process.pid}-[0-9a-f]{12}-[0-9a-f]{12}\\.json$`));
    expect(read(name)).toEqual({
      owner: { pid: process.pid, startTime: await startOf(process.pid) },
      servers: [
        { pid: 101, startTime: "101@boot", mark: "mark-101" },
        { pid: 102, startTime: "102@boot", mark: "mark-102" },
      ],
    });
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    expect(problems).toEqual([]);
  });

  it("follows what comes and goes, and is removed with the last server", async () => {
    const { records: made } = records();
    const [first, second] = [server(101), server(102)];
    made.add(first);
    await made.written();
    made.add(second);
    made.remove(first);
    await made.written();
    expect(read(names()[0] ?? "").servers).toMatchObject([{ pid: 102 }]);
    made.remove(server(102)); // another server that had the pid
    await made.written();
    expect(names()).toHaveLength(1);
    made.remove(second);
    await made.written();
    expect(names()).toEqual([]);
  });

  it("has the start time of a server that came without", async () => {
    const { records: made } = records();
    const child = spawnServer("m");
    const pid = child.pid ?? 0;
    await processes.ready(1);
    made.add(server(pid, { startTime: undefined }));
    made.add(server(2 ** 22 + 2, { startTime: undefined })); // has ended already
    await made.written();
    expect(read(names()[0] ?? "").servers).toEqual([
      { pid, startTime: await startOf(pid), mark: `mark-${pid}` },
    ]);
  });

  it("is closed when the last server is gone", async () => {
    const { records: made } = records();
    const [first, second] = [server(101), server(102)];
    made.add(first);
    made.add(second);
    const closed = made.close();
    made.remove(first);
    await made.written();
    expect(names()).toHaveLength(1);
    made.remove(second);
    await closed;
    expect(names()).toEqual([]);
    await made.close();
  });

  it("stays when a server is left at the end", async () => {
    const { records: made } = records();
    made.add(server(101));
    await made.close();
    expect(names()).toHaveLength(1);
  });

  it("that cannot be written is told once, and all goes on", async () => {
    folder = join(temporaryFolder(), "a file");
    writeFileSync(folder, "");
    const { records: made, problems } = records();
    for (const pid of [101, 102, 103]) {
      made.add(server(pid));
      await made.written();
    }
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(folder);
  });
});

describe("reap", () => {
  it("does nothing where there are no records", async () => {
    expect(await reap(folder)).toBe(0);
    expect(await reap(join(temporaryFolder()))).toBe(0);
  });

  it("ends the servers of an owner that has ended, with all that they have started", async () => {
    const { pid = 0 } = spawnServer("m", `--children=${kinds.join(",")}`);
    await processes.ready(1 + kinds.length);
    await leaveRecord(server(pid, { startTime: await startOf(pid), mark: "m" }));
    expect(await reap(folder)).toBeGreaterThanOrEqual(1 + kinds.length);
    expect(processes.pids().filter(alive)).toEqual([]);
    expect(names()).toEqual([]);
  });

  it("ends what a server has left behind that has ended itself", async () => {
    const child = spawnServer("m", `--children=${orphanKinds.join(",")}`, "--leave=later");
    const startTime = await startOf(child.pid ?? 0);
    await once(child, "exit");
    await processes.ready(orphanKinds.length);
    await leaveRecord(server(child.pid ?? 0, { startTime, mark: "m" }));
    expect(await reap(folder)).toBeGreaterThanOrEqual(orphanKinds.length);
    expect(processes.pids().filter(alive)).toEqual([]);
    expect(names()).toEqual([]);
  });

  it("leaves a process alone that has got a server's pid", async () => {
    const { pid = 0 } = spawnServer("of another", "--children=plain");
    await processes.ready(2);
    const startTime = (await startOf(pid)).replace(/^\d+/, (ticks) => String(Number(ticks) - 1));
    await leaveRecord(server(pid, { startTime, mark: "m" }));
    expect(await reap(folder)).toBe(0);
    expect(processes.pids().filter(alive)).toHaveLength(2);
    expect(names()).toEqual([]);
  });

  it("leaves a tree alone that it is part of, and keeps its record", async () => {
    await leaveRecord(server(process.pid, { startTime: await startOf(process.pid) }));
    expect(await reap(folder)).toBe(0);
    expect(names()).toHaveLength(1);
  });

  it("leaves the servers of an owner alone that lives: this one", async () => {
    const { pid = 0 } = spawnServer("m");
    await processes.ready(1);
    const { records: made } = records();
    made.add(server(pid, { startTime: await startOf(pid), mark: "m" }));
    await made.written();
    expect(await reap(folder)).toBe(0);
    expect(alive(pid)).toBe(true);
    expect(names()).toHaveLength(1);
  });

  it("may be done twice at once", async () => {
    const { pid = 0 } = spawnServer("m", "--children=plain");
    await processes.ready(2);
    await leaveRecord(server(pid, { startTime: await startOf(pid), mark: "m" }));
    await Promise.all([reap(folder), reap(folder)]);
    expect(processes.pids().filter(alive)).toEqual([]);
    expect(names()).toEqual([]);
  });

  it("removes a broken record, and one half written, when no process has the pid of its name", async () => {
    const place = await placeOf();
    const dead = 2 ** 22 + 3;
    for (const [file, text] of [
      [`${dead}-${place}-000000000000.json`, "{"],
      [`${dead}-${place}-000000000001.json`, '{"owner":{"pid":"x"},"servers":[]}'],
      [`${dead}-${place}-000000000002.json.tmp`, ""],
      [`${process.pid}-${place}-000000000003.json`, "{"],
      ["notes.txt", "not ours"],
    ] as const)
      writeFileSync(join(folder, file), text);
    expect(await reap(folder)).toBe(0);
    expect(names().toSorted()).toEqual(
      [`${process.pid}-${place}-000000000003.json`, "notes.txt"].toSorted(),
    );
  });

  it("keeps records of other machines and containers, until they are forgotten", async () => {
    await placeOf();
    const [kept, forgotten] = [
      "2-000000000000-000000000000.json",
      "3-000000000000-000000000000.json",
    ];
    for (const name of [kept, forgotten]) writeFileSync(join(folder, name), "{}");
    const longAgo = Date.now() / 1000 - 8 * 24 * 3600;
    utimesSync(join(folder, forgotten), longAgo, longAgo);
    await reap(folder);
    expect(names()).toEqual([kept]);
  });

  /** The part of a name that says where its pids are valid; the folder is there and empty afterwards. */
  async function placeOf(): Promise<string> {
    const { records: made } = records();
    const one = server(101);
    made.add(one);
    await made.written();
    const [name = ""] = names();
    made.remove(one);
    await made.written();
    return name.split("-")[1] ?? "";
  }
});

describe("an owner", () => {
  /** A process that runs a server for each family and keeps a record. */
  async function startOwner(...families: Family[]): Promise<ChildProcess> {
    const programs = families.map((one) => one.program(`--children=${orphanKinds.join(",")}`));
    const owner = spawn(process.execPath, [stubbornOwner, folder, JSON.stringify(programs)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    children.push(owner);
    const [said] = (await once(owner.stdout, "data")) as [Buffer];
    expect(String(said)).toBe("recorded\n");
    for (const one of families) await one.ready(1 + orphanKinds.length);
    return owner;
  }

  it("that is killed leaves servers, which the next one ends", async () => {
    const [first, second] = [processes, family()];
    const owner = await startOwner(first, second);
    kill(owner.pid);
    await once(owner, "exit");
    expect(first.pids().every(alive)).toBe(true);
    expect(await reap(folder)).toBeGreaterThanOrEqual(2 * (1 + orphanKinds.length));
    expect([...first.pids(), ...second.pids()].filter(alive)).toEqual([]);
    expect(names()).toEqual([]);
  });

  it("that lives keeps its servers, whoever else starts or is killed", async () => {
    const [first, second] = [processes, family()];
    const [killed] = await Promise.all([startOwner(first), startOwner(second)]);
    expect(await reap(folder)).toBe(0);
    expect([...first.pids(), ...second.pids()].every(alive)).toBe(true);
    kill(killed.pid);
    await once(killed, "exit");
    expect(await reap(folder)).toBeGreaterThanOrEqual(1 + orphanKinds.length);
    await first.gone();
    expect(second.pids().every(alive)).toBe(true);
    expect(names()).toHaveLength(1);
  });

  it("that exits without a stop takes its servers and their groups with it, and leaves the rest to the next", async () => {
    const owner = await startOwner(processes);
    const all = processes.pids();
    owner.stdin?.write("exit\n");
    await once(owner, "exit");
    await until(
      "two of them have gone",
      () => processes.pids().filter(alive).length <= all.length - 2,
    );
    await reap(folder);
    await processes.gone();
    expect(names()).toEqual([]);
  });
});
