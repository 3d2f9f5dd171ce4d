import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BudgetLedger } from "../src/budget-ledger.ts";

let folder = "";
let problems: string[] = [];
const ledgers: BudgetLedger[] = [];
beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 12), toFake: ["Date"] });
  folder = join(mkdtempSync(join(tmpdir(), "holdfast-")), "budget");
  problems = [];
});
afterEach(async () => {
  await Promise.all(ledgers.splice(0).map((ledger) => ledger.close()));
  vi.useRealTimers();
  rmSync(join(folder, ".."), { recursive: true, force: true });
});

function open(): BudgetLedger {
  const ledger = new BudgetLedger(folder, (problem) => problems.push(problem));
  ledgers.push(ledger);
  return ledger;
}
const file = (): string => join(folder, "2026-01-01.jsonl");
const spent = (ledger: BudgetLedger, account = "all", principal = "ann"): number =>
  ledger.day(account, principal).usd;

describe("BudgetLedger", () => {
  it("adds up by account and principal, and by account and session", () => {
    const ledger = open();
    ledger.day("all", "ann").add(1);
    ledger.day("all", "ann").add(2);
    ledger.day("all", "bob").add(4);
    ledger.day("server a", "ann").add(8);
    ledger.session("all", "s1").add(16);
    ledger.session("all", "s1").add(-8);
    expect(ledger.spending()).toEqual([
      { account: "all", principal: "ann", usd: 3 },
      { account: "all", principal: "bob", usd: 4 },
      { account: "server a", principal: "ann", usd: 8 },
    ]);
    expect(ledger.session("all", "s1").usd).toBe(8);
    expect(ledger.session("all", "s2").usd).toBe(0);
  });

  it("knows after a restart what was spent today, and of sessions nothing", async () => {
    const ledger = open();
    ledger.day("all", "ann").add(1.5);
    ledger.session("all", "s1").add(1.5);
    await ledger.close();
    ledger.day("all", "ann").add(-0.5);
    await ledger.close();
    const next = open();
    expect(spent(next)).toBe(1);
    expect(next.session("all", "s1").usd).toBe(0);
    expect(problems).toEqual([]);
  });

  it("is for its owner alone, and writes nothing before anything is spent", async () => {
    const ledger = open();
    await ledger.close();
    expect(spent(ledger)).toBe(0);
    await ledger.close();
    expect(() => statSync(folder)).toThrow("ENOENT");
    ledger.day("all", "ann").add(1);
    await ledger.close();
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
  });

  it("saves by itself within a second, and what comes together in one line", async () => {
    const ledger = open();
    for (let n = 0; n < 100; n++) ledger.day("all", "ann").add(1);
    await vi.waitFor(() => expect(spent(open())).toBe(100), { timeout: 3000 });
    expect(readFileSync(file(), "utf8").trim().split("\n")).toHaveLength(1);
  });

  it("counts what two gateways on one folder spend side by side, each once", async () => {
    const [a, b] = [open(), open()];
    expect([spent(a), spent(b)]).toEqual([0, 0]);
    for (let n = 0; n < 20; n++) {
      a.day("all", "ann").add(1);
      b.day("all", "ann").add(2);
      await Promise.all([a.close(), b.close()]);
    }
    await Promise.all([a.close(), b.close()]);
    expect([spent(a), spent(b), spent(open())]).toEqual([60, 60, 60]);
  });

  it("begins anew at midnight UTC, gives back nothing of the day before, and removes its file", async () => {
    const ledger = open();
    const yesterday = ledger.day("all", "ann");
    yesterday.add(5);
    await ledger.close();
    writeFileSync(join(folder, "notes.txt"), "mine");
    vi.setSystemTime(Date.UTC(2026, 0, 2));
    expect(spent(ledger)).toBe(0);
    yesterday.add(-5);
    ledger.day("all", "ann").add(1);
    await ledger.close();
    expect(spent(ledger)).toBe(1);
    expect(spent(open())).toBe(1);
    expect(readdirSync(folder).toSorted()).toEqual(["2026-01-02.jsonl", "notes.txt"]);
  });

  it.each(["{", "null", '{"by":"x","spent":[["all","ann"]]}', "\u0000\u0000\u0000"])(
    "leaves out a line that is none, says so once, and counts the rest: %j",
    async (line) => {
      const first = open();
      first.day("all", "ann").add(1);
      await first.close();
      appendFileSync(file(), `${line}\n${line}`);
      const second = open();
      expect(spent(second)).toBe(1);
      second.day("all", "ann").add(2);
      await second.close();
      expect(spent(open())).toBe(3);
      expect(new Set(problems)).toEqual(
        new Set([expect.stringMatching(/^the budget's ledger: a line of .* is left out/)]),
      );
      expect(problems).toHaveLength(2);
    },
  );

  it("counts on where the disk refuses, says so once, and saves it when it can", async () => {
    writeFileSync(folder, "a file");
    const ledger = open();
    ledger.day("all", "ann").add(1);
    await ledger.close();
    ledger.day("all", "ann").add(1);
    await ledger.close();
    expect(spent(ledger)).toBe(2);
    expect(problems).toEqual([expect.stringContaining("the budget's ledger: ")]);
    rmSync(folder);
    mkdirSync(folder);
    await ledger.close();
    expect(spent(open())).toBe(2);
  });
});
