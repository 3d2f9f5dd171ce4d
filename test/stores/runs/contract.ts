import { afterEach, describe, expect, it } from "vitest";
import type { RunFilter, RunStore, StoredRun } from "../../../src/workflows/run-store.ts";
import { lost, newRun } from "./runs.ts";

/** Milliseconds of a lease that is over at once, as after a long pause. */
export const noTime = -1;

/**
 * What every run store must do. `make` gives a store that shares its runs with those that were made before in
 * the same test, as another process would; `leaseMs` is how long its leases last.
 */
export function runStoreContract(
  title: string,
  make: (leaseMs?: number) => Promise<RunStore>,
  clear: () => Promise<void>,
): void {
  const stores: RunStore[] = [];
  const open = async (leaseMs?: number): Promise<RunStore> => {
    const store = await make(leaseMs);
    stores.push(store);
    return store;
  };
  const begin = async (store: RunStore, over = {}): Promise<StoredRun> =>
    (await store.begin(newRun(over))).run;

  describe(title, { timeout: 60_000 }, () => {
    afterEach(async () => {
      for (const store of stores.splice(0)) await store.close();
      await clear();
    });

    it("keeps a run as it was given", async () => {
      const store = await open();
      const odd = { "": [1.5, 1e300, null, true], "é\u0000\ud800": "\u0000\ud800😀", b: 1, a: 2 };
      const given = newRun({
        definition: odd,
        input: odd,
        tools: { a__b: "1" },
        key: "k\u0000",
        caller: { principal: "\u0000", session: "s", client: "c" },
      });
      const { run, isNew } = await store.begin(given);
      expect(isNew).toBe(true);
      expect(run).toMatchObject({ ...given, state: "running" });
      expect(Object.keys(run.definition)).toEqual(Object.keys(odd));
      expect(Math.abs(run.startedAt - Date.now())).toBeLessThan(60_000);
      expect(await store.get(run.id)).toEqual(run);
      expect(await store.list({ principal: "\u0000" })).toEqual([run]);
    });

    it("has no run under an id that it did not give", async () => {
      const store = await open();
      for (const id of ["", "x", "\u0000", "00000000-0000-4000-8000-000000000000"]) {
        expect(await store.get(id)).toBeUndefined();
        expect(await store.journal(id)).toEqual([]);
        expect(await store.command(id, {})).toBe(false);
        await expect(store.intend(id, "a", {})).rejects.toMatchObject(lost);
      }
    });

    it("keeps a journal, oldest first, with results where there are some", async () => {
      const store = await open();
      const { id } = await begin(store);
      const entries: string[] = [];
      for (let n = 0; n < 20; n++)
        entries.push(await store.intend(id, `s${n}`, { n, z: "\u0000" }));
      await store.conclude(id, entries[0] ?? "", { ok: "\u0000" });
      const journal = await store.journal(id);
      expect(journal.map((entry) => entry.id)).toEqual(entries);
      expect(journal[0]).toMatchObject({ name: "s0", intent: { n: 0, z: "\u0000" } });
      expect(journal[0]).toMatchObject({ token: store.token, result: { ok: "\u0000" } });
      expect(journal[0]?.endedAt).toBeGreaterThanOrEqual(journal[0]?.at ?? Infinity);
      expect(journal[1]?.result).toBeUndefined();
    });

    it("keeps the order of the journal when another process goes on, and names that come again", async () => {
      const [first, second] = [await open(), await open()];
      const { id } = await begin(first);
      await first.intend(id, "a", { n: 1 });
      await first.release(id);
      expect((await second.claim())?.id).toBe(id);
      const entry = await second.intend(id, "a", { n: 2 });
      await second.conclude(id, entry, {});
      const journal = await second.journal(id);
      expect(journal.map(({ intent, token }) => [intent["n"], token])).toEqual([
        [1, first.token],
        [2, second.token],
      ]);
    });

    it("keeps the first of two results", async () => {
      const store = await open();
      const { id } = await begin(store);
      const entry = await store.intend(id, "a", {});
      await store.conclude(id, entry, { n: 1 });
      await store.conclude(id, entry, { n: 2 });
      expect((await store.journal(id))[0]?.result).toEqual({ n: 1 });
    });

    it("gives nobody else a run that is driven", async () => {
      const [first, second] = [await open(), await open()];
      await begin(first);
      expect(await second.claim()).toBeUndefined();
      expect(await first.claim()).toBeUndefined();
    });

    it("gives each run that was let go of to one, the longest waiting first", async () => {
      const [first, second] = [await open(), await open()];
      const ids: string[] = [];
      for (let n = 0; n < 4; n++) ids.push((await begin(first)).id);
      for (const id of ids) await first.release(id);
      const claimed = [await second.claim(), await first.claim(), await second.claim()];
      expect(claimed.map((run) => run?.id)).toEqual(ids.slice(0, 3));
      const [last, none] = [await first.claim(), await second.claim()];
      expect([last?.id, none]).toEqual([ids[3], undefined]);
    });

    it("gives a released run when its time has come", async () => {
      const [first, second] = [await open(), await open()];
      const { id } = await begin(first);
      await first.mark(id, "compensating");
      await first.release(id, 3_600_000);
      expect(await second.claim()).toBeUndefined();
      const { id: due } = await begin(first);
      await first.release(due, -1);
      expect((await second.claim())?.id).toBe(due);
      expect((await first.get(id))?.state).toBe("compensating");
    });

    it("gives a run whose lease has run out to another, and refuses all that its old owner writes", async () => {
      const [first, second] = [await open(noTime), await open()];
      const { id } = await begin(first);
      const entry = await first.intend(id, "a", {});
      const claimed = await second.claim();
      expect(claimed).toMatchObject({ id, state: "running" });
      const late: (() => Promise<unknown>)[] = [
        () => first.intend(id, "b", {}),
        () => first.conclude(id, entry, {}),
        () => first.mark(id, "compensating"),
        () => first.park(id, {}),
        () => first.release(id),
        () => first.takeCommand(id),
        () => first.finish(id, "failed", {}),
      ];
      for (const write of late) await expect(write()).rejects.toMatchObject(lost);
      expect((await second.journal(id)).map(({ name, result }) => [name, result])).toEqual([
        ["a", undefined],
      ]);
      expect((await second.get(id))?.state).toBe("running");
      await second.conclude(id, entry, { found: "out" });
      await second.finish(id, "completed", {});
    });

    it("keeps a run that nobody has taken although its lease ran out", async () => {
      const store = await open(20);
      const { id, startedAt } = await begin(store);
      while (Date.now() < startedAt + 40) await new Promise(setImmediate);
      expect(await store.claim()).toBeUndefined();
      await store.conclude(id, await store.intend(id, "a", {}), {});
      await store.finish(id, "completed", {});
    });

    it("does not give back a run that it has lost before its driver knows", async () => {
      const [first, second] = [await open(noTime), await open()];
      const { id } = await begin(first);
      expect((await second.claim())?.id).toBe(id);
      await second.release(id);
      expect(await first.claim()).toBeUndefined();
      await expect(first.intend(id, "a", {})).rejects.toMatchObject(lost);
      expect((await first.claim())?.id).toBe(id);
    });

    it("tells how a run stands", async () => {
      const store = await open();
      const { id } = await begin(store);
      const seen = async (): Promise<unknown> => {
        const run = await store.get(id);
        expect(await store.list({ name: run?.name ?? "" })).toEqual([run]);
        return [run?.state, run?.outcome, run?.endedAt === undefined];
      };
      expect(await seen()).toEqual(["running", undefined, true]);
      await store.mark(id, "compensating");
      expect(await seen()).toEqual(["compensating", undefined, true]);
      await store.park(id, { why: "a\u0000" }, -1);
      expect(await seen()).toEqual(["stuck", { why: "a\u0000" }, true]);
      expect(await store.claim()).toMatchObject({
        id,
        state: "stuck",
        outcome: { why: "a\u0000" },
      });
      await store.mark(id, "running");
      expect(await seen()).toEqual(["running", undefined, true]);
      await store.finish(id, "compensated", { undone: ["charge"] });
      expect(await seen()).toEqual(["compensated", { undone: ["charge"] }, false]);
    });

    it.each(["completed", "failed", "compensated"] as const)(
      "takes nothing more for a run that is %s",
      async (state) => {
        const store = await open();
        const { id } = await begin(store);
        await store.finish(id, state, {});
        await expect(store.intend(id, "a", {})).rejects.toMatchObject(lost);
        await expect(store.finish(id, "failed", {})).rejects.toMatchObject(lost);
        expect(await store.command(id, {})).toBe(false);
        expect(await store.claim()).toBeUndefined();
        expect(await store.list({ state })).toMatchObject([{ id, state }]);
      },
    );

    it("gives a parked run when a command comes for it, and the command once", async () => {
      const [first, second] = [await open(), await open()];
      const { id } = await begin(first);
      await first.park(id, {});
      expect(await second.claim()).toBeUndefined();
      expect(await second.command(id, { do: "resume", gone: null })).toBe(true);
      expect(await first.command(id, { do: "other" })).toBe(false);
      expect((await second.claim())?.id).toBe(id);
      expect(await second.takeCommand(id)).toEqual({ do: "resume", gone: null });
      expect(await second.takeCommand(id)).toBeUndefined();
      expect(await first.command(id, { do: "again" })).toBe(true);
      expect(await second.takeCommand(id)).toEqual({ do: "again" });
      expect(await second.journal(id)).toEqual([]);
    });

    it("does not leave a run parked for which a command has come already", async () => {
      const store = await open();
      const { id } = await begin(store);
      expect(await store.command(id, { do: "cancel" })).toBe(true);
      await store.park(id, {});
      expect((await store.claim())?.id).toBe(id);
      expect(await store.takeCommand(id)).toEqual({ do: "cancel" });
    });

    it("gives a parked run when its time to try again has come", async () => {
      const store = await open();
      const [soon, later] = [await begin(store), await begin(store)];
      await store.park(later.id, {}, 3_600_000);
      await store.park(soon.id, {}, -1);
      expect((await store.claim())?.id).toBe(soon.id);
      expect(await store.claim()).toBeUndefined();
    });

    it("begins one run of a principal, definition and key", async () => {
      const [first, second] = [await open(), await open()];
      const given = newRun({ key: "k" });
      const begun = await first.begin(given);
      expect(begun.isNew).toBe(true);
      expect(await second.begin({ ...given, input: {} })).toEqual({ run: begun.run, isNew: false });
      await expect(second.intend(begun.run.id, "a", {})).rejects.toMatchObject(lost);
      await first.finish(begun.run.id, "completed", { n: 1 });
      const again = await second.begin(given);
      expect(again).toMatchObject({ isNew: false, run: { id: begun.run.id, outcome: { n: 1 } } });
      const others = [
        { ...given, key: "l" },
        { ...given, name: "other" },
        { ...given, caller: { ...given.caller, principal: "bert" } },
        newRun({ name: given.name }),
      ];
      for (const other of others) expect((await second.begin(other)).isNew).toBe(true);
    });

    it("begins one run where several ask for it at once", async () => {
      const [first, second] = [await open(), await open()];
      const given = newRun({ key: "k" });
      const begun = await Promise.all(
        Array.from({ length: 12 }, (_, n) => (n % 2 ? first : second).begin(given)),
      );
      expect(begun.filter((one) => one.isNew)).toHaveLength(1);
      expect(new Set(begun.map((one) => one.run.id)).size).toBe(1);
    });

    it("lists runs by name, state and principal, the newest first", async () => {
      const store = await open();
      const runs: StoredRun[] = [];
      for (let n = 0; n < 12; n++) {
        const caller = { principal: n % 2 ? "anna" : "bert", session: "", client: "" };
        const run = await begin(store, { name: n % 3 ? "a" : "b", caller });
        if (n % 4 === 0) await store.finish(run.id, "failed", {});
        runs.unshift((await store.get(run.id)) as StoredRun);
        // So that each has a millisecond of its own.
        const { startedAt } = run;
        while (Date.now() <= startedAt) await new Promise(setImmediate);
      }
      expect(await store.list({})).toEqual(runs);
      expect(await store.list({ limit: 3 })).toEqual(runs.slice(0, 3));
      const filters: RunFilter[] = [
        { name: "a" },
        { state: "failed" },
        { state: "running", name: "b" },
        { principal: "anna" },
        { principal: "bert", state: "failed", name: "b", limit: 1 },
        { principal: "nobody" },
      ];
      for (const filter of filters) {
        const { name, state, principal, limit = 50 } = filter;
        const wanted = runs.filter(
          (run) =>
            (name ?? run.name) === run.name &&
            (state ?? run.state) === run.state &&
            (principal ?? run.caller.principal) === run.caller.principal,
        );
        expect(await store.list(filter)).toEqual(wanted.slice(0, limit));
      }
    });

    it("removes ended runs that are old or too many, and no others", async () => {
      const store = await open();
      const ids: string[] = [];
      for (let n = 0; n < 6; n++) {
        const { id } = await begin(store);
        ids.push(id);
        if (n < 4) {
          await store.conclude(id, await store.intend(id, "a", {}), {});
          await store.finish(id, "completed", {});
        }
      }
      await store.park(ids[5] ?? "", {});
      expect(await store.prune(3_600_000, 100)).toBe(0);
      expect(await store.prune(3_600_000, 3)).toBe(1);
      expect(await store.get(ids[0] ?? "")).toBeUndefined();
      expect(await store.journal(ids[0] ?? "")).toEqual([]);
      expect(await store.prune(-60_000, 3)).toBe(3);
      expect((await store.list({})).map(({ id }) => id).toSorted()).toEqual(
        ids.slice(4).toSorted(),
      );
      await store.intend(ids[4] ?? "", "b", {});
    });

    it("removes the oldest of the ended runs beyond a size", async () => {
      const store = await open();
      const random = (): string =>
        Array.from({ length: 4000 }, () => Math.random().toString(36).slice(2)).join("");
      const ids: string[] = [];
      for (let n = 0; n < 4; n++) {
        const { id } = await begin(store);
        ids.push(id);
        await store.conclude(id, await store.intend(id, "a", {}), { text: random() });
        await store.finish(id, "completed", {});
        const ended = (await store.get(id))?.endedAt ?? 0;
        while (Date.now() <= ended) await new Promise(setImmediate);
      }
      expect(await store.prune(3_600_000, 100, 10_000_000)).toBe(0);
      expect(await store.prune(3_600_000, 100, 100_000)).toBe(2);
      expect((await store.list({})).map(({ id }) => id)).toEqual(ids.slice(2).toReversed());
    });

    it("removes many runs", async () => {
      const store = await open();
      for (let n = 0; n < 130; n++) {
        const { id } = await begin(store, { name: "many" });
        await store.finish(id, "failed", {});
      }
      expect(await store.prune(3_600_000, 5)).toBe(125);
      expect(await store.list({ name: "many" })).toHaveLength(5);
    });

    it("frees nothing of a process that lives", async () => {
      const [first, second] = [await open(), await open()];
      await begin(first);
      expect(await second.freeDead()).toBe(0);
      expect(await first.freeDead()).toBe(0);
      expect(await second.claim()).toBeUndefined();
    });

    it("takes no more than 16 MiB in one piece, and says so", async () => {
      const store = await open();
      const { id } = await begin(store);
      const entry = await store.intend(id, "a", {});
      const large = { text: "x".repeat(16 * 1024 * 1024) };
      const told = /^the result is larger than 16 MiB/;
      await expect(store.conclude(id, entry, large)).rejects.toThrow(told);
      expect((await store.journal(id))[0]?.result).toBeUndefined();
      const most = { text: "x".repeat(16 * 1024 * 1024 - 100) };
      await store.conclude(id, entry, most);
      expect((await store.journal(id))[0]?.result?.["text"]).toHaveLength(most.text.length);
    });

    it("lets go of all that is ours when it is closed, and does nothing more", async () => {
      const [first, second] = [await open(), await open()];
      const { id } = await begin(first);
      await first.close();
      await first.close();
      await expect(first.get(id)).rejects.toMatchObject({ name: "StoreFailed" });
      await expect(first.begin(newRun())).rejects.toMatchObject({ name: "StoreFailed" });
      expect((await second.claim())?.id).toBe(id);
    });
  });
}
