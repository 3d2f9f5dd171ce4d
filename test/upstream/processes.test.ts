import { spawn } from "node:child_process";
import { once } from "node:events";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { markVariable } from "../../src/upstream/process-table.ts";
import { ServerProcess, type Program, type ServerRecords } from "../../src/upstream/process.ts";
import type { TreeRoot } from "../../src/upstream/process-tree.ts";
import {
  alive,
  family,
  kill,
  kinds,
  orphanKinds,
  stubbornChild,
  type Family,
} from "../support/stubborn.ts";

vi.setConfig({ testTimeout: 60_000 });

let processes: Family;
beforeEach(() => void (processes = family()));

const start = (program: Program, records?: ServerRecords): ServerProcess =>
  new ServerProcess(program, () => {}, records);

/** A program that runs JavaScript. */
const running = (code: string): Program => ({
  ...processes.program(),
  args: ["-e", code],
});

describe("stop", () => {
  it("lets a server leave that does so when its stdin ends", async () => {
    const server = start(processes.program("--polite"));
    await processes.ready(1);
    await server.stop();
    expect(await server.ended).toBe("exited with code 0");
    expect(await server.gone).toEqual([]);
  });

  it("ends a server that ignores stdin's end and SIGTERM", async () => {
    const server = start(processes.program());
    await processes.ready(1);
    await server.stop();
    expect(await server.ended).toBe("was ended by SIGKILL");
    expect(alive(server.pid ?? 0)).toBe(false);
  });

  it("lets a server leave on SIGTERM before it is killed", async () => {
    const server = start(
      running(
        "process.on('SIGTERM', () => { console.error('bye'); process.exit(4) }); setTimeout(() => {}, 60_000); console.log(1)",
      ),
    );
    await once(server.stdout, "data");
    await server.stop();
    expect(await server.ended).toBe("exited with code 4; its last words: bye");
  });

  it.each(kinds)("ends what the server has started: %s, of a server that stays", async (kind) => {
    const server = start(processes.program(`--children=${kind}`));
    await processes.ready(2);
    await server.stop();
    expect(processes.pids().filter(alive)).toEqual([]);
    expect(await server.gone).toEqual([]);
  });

  it.each(kinds)("ends what the server has started: %s, of a server that leaves", async (kind) => {
    const server = start(processes.program(`--children=${kind}`, "--polite"));
    await processes.ready(2);
    await server.stop();
    expect(processes.pids().filter(alive)).toEqual([]);
    expect(await server.ended).toBe("exited with code 0");
  });

  it("ends many servers at once", async () => {
    const servers = Array.from({ length: 5 }, () =>
      start(processes.program(`--children=${kinds.join(",")}`)),
    );
    await processes.ready(5 * (1 + kinds.length));
    await Promise.all(servers.map((server) => server.stop()));
    expect(processes.pids().filter(alive)).toEqual([]);
  });

  it("is one stop, however often it is called, and nothing when the server has gone before", async () => {
    const server = start(processes.program());
    await processes.ready(1);
    await Promise.all([server.stop(), server.stop()]);
    await server.stop();
    const gone = start(running(""));
    await gone.gone;
    await gone.stop();
    expect(await gone.ended).toBe("exited with code 0");
  });

  it("leaves alone what is not the server's, be it in our own group", async () => {
    const bystander = spawn(process.execPath, [stubbornChild], { env: processes.env });
    const [pid = 0] = await processes.ready(1);
    const server = start(processes.program("--children=plain"));
    await processes.ready(3);
    await server.stop();
    expect(processes.pids().filter(alive)).toEqual([pid]);
    expect(pid).toBe(bystander.pid);
    kill(pid);
  });
});

describe("a server that ends by itself", () => {
  it.each(orphanKinds)("leaves nothing behind: %s", async (kind) => {
    const server = start(processes.program(`--children=${kind}`, "--leave=later"));
    expect(await server.ended).toBe("exited with code 0");
    expect(await server.gone).toEqual([]);
    await processes.gone();
  });

  it("leaves nothing behind when it ends as soon as it has started something", async () => {
    const server = start(processes.program(`--children=${orphanKinds.join(",")}`, "--leave=now"));
    await server.ended;
    expect(await server.gone).toEqual([]);
    expect(processes.pids()).not.toEqual([]);
    await processes.gone();
  });

  it("leaves nothing behind when it is killed", async () => {
    const server = start(processes.program(`--children=${orphanKinds.join(",")}`));
    await processes.ready(1 + orphanKinds.length);
    kill(server.pid);
    expect(await server.ended).toBe("was ended by SIGKILL");
    expect(await server.gone).toEqual([]);
    expect(processes.pids().filter(alive)).toEqual([]);
  });
});

describe("a program that does not exist", () => {
  it("has gone from the start, and is not recorded", async () => {
    const records = { add: vi.fn(), remove: vi.fn() };
    const server = start({ ...processes.program(), command: "no-such-command" }, records);
    expect(await server.ended).toContain('command "no-such-command" was not found');
    expect(await server.gone).toEqual([]);
    await server.stop();
    expect(records.add).not.toHaveBeenCalled();
    expect(records.remove).not.toHaveBeenCalled();
  });
});

it("tells a missing working folder for what it is", async () => {
  const server = start({ ...processes.program(), cwd: "/no/such/folder" });
  expect(await server.ended).toBe(
    "could not be started: its working folder /no/such/folder was not found",
  );
});

describe("records", () => {
  it("have the server from its start until nothing of it is left", async () => {
    const told: [string, TreeRoot, number[]][] = [];
    const tell =
      (what: string) =>
      (root: TreeRoot): void =>
        void told.push([what, root, processes.pids().filter(alive)]);
    const server = start(processes.program("--children=plain", "--leave=later"), {
      add: tell("add"),
      remove: tell("remove"),
    });
    expect(told).toMatchObject([["add", { pid: server.pid }, []]]);
    await server.gone;
    expect(told).toHaveLength(2);
    expect(told[1]).toEqual(["remove", told[0]?.[1], []]);
  });
});

describe("the server's environment", () => {
  const marksOf = async (server: ServerProcess): Promise<string[]> => {
    const [chunk] = (await once(server.stdout, "data")) as [Buffer];
    await server.gone;
    return String(chunk).split(",");
  };
  const print = `process.stdout.write(process.env.${markVariable})`;

  it("has a mark, of each server its own", async () => {
    vi.stubEnv(markVariable, undefined);
    const first = await marksOf(start(running(print)));
    const second = await marksOf(start(running(print)));
    expect([first.length, second.length]).toEqual([1, 1]);
    expect(first).not.toEqual(second);
    vi.unstubAllEnvs();
  });

  it("has the marks of the servers above it, when we are a server of another gateway", async () => {
    vi.stubEnv(markVariable, "outer,middle");
    const marks = await marksOf(start(running(print)));
    expect(marks.slice(0, 2)).toEqual(["outer", "middle"]);
    expect(marks).toHaveLength(3);
    vi.unstubAllEnvs();
  });
});
