import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Bench, nameOf, type Cell } from "../support/matrix/cell.ts";
import { checks } from "../support/matrix/checks.ts";
import type { Era, Transport } from "../support/matrix/client.ts";
import { Peers } from "../support/matrix/peers.ts";

const eras: readonly Era[] = ["2025", "2026"];
const transports: readonly Transport[] = ["stdio", "http"];

/** Without the gateway, so that it is the gateway that is tested, and not the servers and clients of these tests. */
const direct: readonly Cell[] = eras.flatMap((era) =>
  transports.map((back) => ({ client: era, server: era, back })),
);
const through: readonly Cell[] = eras.flatMap((client) =>
  transports.flatMap((front) =>
    eras.flatMap((server) => transports.map((back) => ({ client, front, server, back }))),
  ),
);

const peers = new Peers();
afterAll(() => peers.close());

describe.each([...direct, ...through].map((cell) => [nameOf(cell), cell] as const))(
  "%s",
  (_, cell) => {
    let bench: Bench;
    beforeAll(async () => {
      bench = new Bench(cell, await peers.clientIn(cell));
    });

    it.each(checks.filter(({ impossible }) => impossible?.(cell) === undefined))(
      "$name",
      async ({ run }) => {
        expect.hasAssertions();
        await run(bench);
      },
    );
  },
);

it("leaves out only what cannot be", () => {
  const left: Record<string, number> = {};
  for (const { name, impossible } of checks)
    for (const cell of through) {
      const reason = impossible?.(cell);
      if (reason === undefined) continue;
      const what = `${name}: ${reason}`;
      left[what] = (left[what] ?? 0) + 1;
    }
  expect(left).toEqual({
    "answers a ping: 2026-07-28 has no ping": 8,
    "passes no log messages that the client did not ask for: a server of 2025 chooses what it logs until a level is set": 8,
    "runs tasks: begun, watched, listed, cancelled, and their result taken: a client begins a task of 2025, and a server one of 2026, which the reference client takes none of": 12,
    "tells the server that the client's roots have changed: 2026-07-28 has no notifications of clients but cancels": 12,
  });
});
