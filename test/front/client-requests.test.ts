import { expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { cancelled } from "../../src/errors.ts";
import { ClientRequests } from "../../src/front/client-requests.ts";
import { outcomeOf } from "../support/calls.ts";

function setUp() {
  const sent: unknown[] = [];
  const requests = new ClientRequests((message, about) => sent.push({ ...message, about }));
  const cancel = new Cancel();
  const ask = (about?: number): Promise<unknown> =>
    outcomeOf(requests.ask("roots/list", {}, cancel.abortSignal(), about));
  return { sent, requests, cancel, ask };
}

it("resolves with the client's result, and rejects with its error", async () => {
  const { requests, ask } = setUp();
  const [first, second, third] = [ask(), ask(), ask()];
  const answers: JsonObject[] = [
    { id: 1, error: { code: -1, message: "no", data: [1] } },
    { id: 0, result: { roots: [] } },
    { id: 7, result: {} },
    { id: 2, result: null },
  ];
  for (const answer of answers) requests.receive(answer);
  expect(await first).toEqual({ roots: [] });
  expect(await second).toMatchObject({ message: "no", code: -1, data: [1] });
  expect(await third).toBeInstanceOf(Error);
});

it("takes a request back where its signal says so, on the stream on which it was sent", async () => {
  const { sent, requests, cancel, ask } = setUp();
  const asked = ask(5);
  cancel.cancel(cancelled("enough"));
  requests.receive({ id: 0, result: {} });
  expect(await asked).toMatchObject({ message: "enough" });
  expect(sent).toMatchObject([
    { id: 0, method: "roots/list", about: 5 },
    { method: "notifications/cancelled", params: { requestId: 0, reason: "enough" }, about: 5 },
  ]);
});

it("rejects all when the client has gone", async () => {
  const { requests, ask } = setUp();
  const asked = ask();
  requests.end(new Error("gone"));
  expect(await asked).toMatchObject({ message: "gone" });
});
