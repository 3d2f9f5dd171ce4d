import { expect, it } from "vitest";
import { endOfTurn } from "../src/time.ts";

it("tells all who wait for the end of a turn together, and later ones at the end of theirs", async () => {
  const told: string[] = [];
  setImmediate(() => told.push("first"));
  const waits = [endOfTurn(), endOfTurn()].map((end) => end.then(() => told.push("waiter")));
  setImmediate(() => told.push("last"));
  await Promise.all(waits);
  await new Promise(setImmediate);
  expect(told).toEqual(["first", "waiter", "waiter", "last"]);
  await endOfTurn();
});
