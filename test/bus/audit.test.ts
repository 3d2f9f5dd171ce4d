import { appendFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { Audit } from "../../src/bus/audit.ts";
import { Cancel } from "../../src/cancel.ts";
import { CallError } from "../../src/errors.ts";
import { temporaryFolder } from "../support/gateway.ts";
import { notice } from "./support.ts";

function setUp(over: { file?: string; maxBytes?: number } = {}) {
  const file = join(temporaryFolder(), "logs", "audit.jsonl");
  const problems: string[] = [];
  const options = { file, types: ["*"], maxBytes: 1024 ** 2, ...over };
  const audit = new Audit(options, (problem) => problems.push(problem));
  const query = (given: object = {}, signal = new Cancel()) =>
    audit.query({ since: -Infinity, limit: 100, principal: "local", ...given }, signal);
  const data = async (given: object = {}): Promise<unknown[]> =>
    (await query(given)).events.map((event) => event.data);
  return { file: options.file, audit, problems, query, data };
}

describe("the audit file", () => {
  it("gives back what was written, by type, time and whose it is", async () => {
    const { audit, file, data } = setUp();
    audit.handle(notice({ data: 1, time: "2026-01-01T00:00:00.000Z" }));
    audit.handle(notice({ data: 2, type: "y" }));
    audit.handle(notice({ data: 3, source: "holdfast/users/o%20ther" }, 10, { owner: "o ther" }));
    const theirs = { caller: { principal: "o ther" } };
    audit.handle(notice({ data: theirs, type: "call.failed", source: "holdfast/gateway/1" }));
    audit.handle(notice({ data: 4, type: "config.problem", source: "holdfast/gateway/1" }));
    expect(await data()).toEqual([1, 2, 4]);
    expect(await data({ principal: "o ther" })).toEqual([3, theirs, 4]);
    expect(await data({ type: "y" })).toEqual([2]);
    expect(await data({ since: Date.parse("2026-01-02") })).toEqual([2, 4]);
    expect(readFileSync(file, "utf8").trim().split("\n")).toHaveLength(5);
    expect([statSync(file).mode & 0o777, statSync(dirname(file)).mode & 0o777]).toEqual([
      0o600, 0o700,
    ]);
  });

  it("goes on after a line that is torn, and counts what is no event", async () => {
    const { audit, file, query } = setUp();
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, 'garbage\n{"a":1}\n{"specversion":"1.0","ty');
    audit.handle(notice({ data: 1 }));
    await audit.flush();
    appendFileSync(file, "x".repeat(1024 ** 2 + 1));
    appendFileSync(file, "\n");
    audit.handle(notice({ data: 2 }));
    expect(await query()).toMatchObject({ events: [{ data: 1 }, { data: 2 }], skipped: 4 });
  });

  it("is bounded: one file before is kept, and read first", async () => {
    const { audit, file, data } = setUp({ maxBytes: 4096 });
    for (let n = 0; n < 60; n++) {
      audit.handle(notice({ data: n }));
      if (n % 5 === 0) await audit.flush();
    }
    const found = await data();
    expect(statSync(file).size).toBeLessThanOrEqual(4096);
    expect(statSync(`${file}.1`).size).toBeLessThanOrEqual(4096);
    expect(found.at(-1)).toBe(59);
    expect(found).toEqual(Array.from({ length: found.length }, (_, n) => 60 - found.length + n));
    expect(found.length).toBeGreaterThan(15);
  });

  it("gives the newest within a bound", async () => {
    const { audit, query } = setUp({ maxBytes: 1024 ** 3 });
    const long = "x".repeat(100_000);
    for (let n = 0; n < 20; n++) audit.handle(notice({ data: { n, long } }));
    const { events, more } = await query();
    expect(events).toHaveLength(10);
    expect(events.at(-1)?.data).toMatchObject({ n: 19 });
    expect(more).toBe(true);
    expect((await query({ limit: 3 })).events.map(({ data }) => data)).toMatchObject([
      { n: 17 },
      { n: 18 },
      { n: 19 },
    ]);
  });

  it("is made anew where it or its folder is gone", async () => {
    const { audit, file, data, problems } = setUp();
    audit.handle(notice({ data: 1 }));
    await audit.flush();
    rmSync(dirname(file), { recursive: true });
    audit.handle(notice({ data: 2 }));
    await audit.flush();
    await audit.flush();
    expect(await data()).toEqual([2]);
    expect(problems.length).toBeLessThanOrEqual(1);
  });

  it("is not read on for a caller who has gone", async () => {
    const { audit, query } = setUp();
    audit.handle(notice());
    const gone = new Cancel();
    gone.cancel(new CallError("cancelled", "gone", { outcome: "failed" }));
    await expect(query({}, gone)).rejects.toThrow("gone");
    expect((await query()).events).toHaveLength(1);
  });

  it.runIf(process.platform === "linux")(
    "on a full disk keeps what waits, and tells it once",
    async () => {
      const { audit, problems } = setUp({ file: "/dev/full" });
      audit.handle(notice());
      await audit.flush();
      audit.handle(notice());
      await audit.flush();
      expect(audit.status()).toMatchObject({ buffered: 2, delivered: 0, failures: 2 });
      expect(problems).toEqual([expect.stringContaining("ENOSPC")]);
      audit.close();
      expect(audit.status()).toMatchObject({ dropped: 2 });
    },
  );
});
