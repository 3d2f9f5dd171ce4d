import { beforeEach, describe, expect, it, vi } from "vitest";
import { endEarly, startEarly, takeEarly } from "../../src/upstream/early.ts";
import { ServerProcess } from "../../src/upstream/process.ts";
import { alive, family, type Family } from "../support/stubborn.ts";

vi.setConfig({ testTimeout: 60_000 });

let processes: Family;
beforeEach(() => void (processes = family()));

describe("a program that was started early", () => {
  it("is taken once, by who wants that very program for that upstream", async () => {
    const program = processes.program("--polite");
    startEarly("up", program);
    const [pid] = await processes.ready(1);
    expect(takeEarly("other", program)).toBeUndefined();
    expect(takeEarly("up", { ...program, env: { ...program.env, MORE: "1" } })).toBeUndefined();
    const started = takeEarly("up", structuredClone(program));
    expect(started?.root?.pid).toBe(pid);
    expect(takeEarly("up", program)).toBeUndefined();
    await endEarly();
    expect(alive(pid ?? 0)).toBe(true);
    await new ServerProcess(program, () => {}, undefined, undefined, started).stop();
    expect(processes.pids()).toEqual([pid]);
    expect(alive(pid ?? 0)).toBe(false);
  });

  it("is ended with all that it has started, where nobody takes it", async () => {
    startEarly("up", processes.program());
    const pids = await processes.ready(1);
    await endEarly();
    expect(pids.filter(alive)).toEqual([]);
  });

  it("tells what it wrote and how it ended before it was taken", async () => {
    const program = {
      ...processes.program(),
      args: ["-e", "console.error('no token'); process.exit(3)"],
    };
    startEarly("up", program);
    const started = takeEarly("up", program);
    await started?.exited;
    const lines: string[] = [];
    const take = (line: string): unknown => lines.push(line);
    const server = new ServerProcess(program, take, undefined, undefined, started);
    expect(await server.ended).toBe("exited with code 3; its last words: no token");
    expect(lines).toEqual(["no token"]);
  });

  it("that cannot be started says so to who takes it", async () => {
    const program = { ...processes.program(), command: "no-such-program-at-all" };
    startEarly("up", program);
    const started = takeEarly("up", program);
    const server = new ServerProcess(program, () => {}, undefined, undefined, started);
    expect(await server.ended).toContain('command "no-such-program-at-all" was not found');
  });
});
