import { describe, expect, it } from "vitest";
import { openRunStore } from "../../../src/stores/runs/open-run-store.ts";
import { newRun } from "./runs.ts";

describe("a run store whose thread cannot run", () => {
  it("says so each time, and has another token, since all that it drove is lost", async () => {
    // The thread's file is there in the compiled program only.
    const store = openRunStore({ where: "sqlite", folder: "nowhere", onProblem: () => {} });
    const tokens = [store.token];
    for (let n = 0; n < 2; n++) {
      const both = await Promise.allSettled([store.begin(newRun()), store.claim()]);
      for (const result of both)
        expect(result).toMatchObject({
          status: "rejected",
          reason: {
            name: "StoreFailed",
            isInDoubt: true,
            message: expect.stringMatching(
              /^the thread of the run store has ended: Cannot find module/,
            ) as string,
          },
        });
      tokens.push(store.token);
    }
    expect(new Set(tokens).size).toBe(3);
    await store.close();
    await expect(store.claim()).rejects.toThrow("the run store is closed");
  });

  it.each(["", "sqlite:", "redis://x", "Postgres://x", "runs.db"])(
    "is not opened at %j",
    (where) => {
      const open = (): unknown => openRunStore({ where, folder: "", onProblem: () => {} });
      expect(open).toThrow("runs can be kept in");
    },
  );
});
