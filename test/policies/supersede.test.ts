import { describe, expect, it } from "vitest";
import type { Call } from "../../src/call.ts";
import { supersede } from "../../src/policies/supersede.ts";
import { call, ok, outcomeOf, untilCancelled } from "../support/calls.ts";

const keyed = (id: unknown, over: Partial<Call> = {}): Call =>
  call({ params: { name: "do", arguments: { id } }, ...over });
const keyOf = ({ params }: Call): string | undefined => {
  const { id } = params["arguments"] as { id?: string };
  if (id === "bad") throw new Error("no such key");
  return id;
};

describe("supersede", () => {
  it("cancels the older call of the same key when a newer one comes", async () => {
    let asked = 0;
    const handle = supersede(keyOf)((received) =>
      asked++ === 0 ? untilCancelled(received) : Promise.resolve(ok("new")),
    );
    const older = outcomeOf(handle(keyed("a")));
    expect(await handle(keyed("a"))).toEqual(ok("new"));
    expect(await older).toMatchObject({
      code: "cancelled",
      message: "a newer call has taken its place",
    });
  });

  it("leaves calls of other keys, sessions and tools without a key alone", async () => {
    const signals: Call["signal"][] = [];
    const handle = supersede(keyOf)((received) => {
      signals.push(received.signal);
      return untilCancelled(received);
    });
    const other = { principal: "local", session: "other", client: "c" };
    for (const one of [
      keyed("a"),
      keyed("b"),
      keyed("a", { caller: other }),
      keyed(undefined),
      keyed(undefined),
    ])
      void outcomeOf(handle(one));
    expect(signals.map(({ reason }) => reason)).toEqual(Array(5).fill(undefined));
  });

  it("fails a call whose key cannot be made, before anything is sent", async () => {
    const handle = supersede(keyOf)(() => expect.unreachable());
    expect(await outcomeOf(handle(keyed("bad")))).toMatchObject({
      code: "denied",
      outcome: "failed",
    });
  });
});
