import { EventEmitter } from "node:events";
import { expect, it } from "vitest";
import { goOn } from "../../src/commands/serve.ts";
import { recorder } from "../support/calls.ts";

it("tells what nobody caught, with its place", () => {
  const { report, events } = recorder();
  const process = new EventEmitter();
  goOn(process, report);
  process.emit("uncaughtException", new RangeError("too deep"));
  process.emit("unhandledRejection", "a word");
  expect(events).toMatchObject([
    { type: "gateway.problem", problem: expect.stringMatching(/too deep\n.*serve\.test\.ts/) },
    { type: "gateway.problem", problem: expect.stringContaining("a word") },
  ]);
});
