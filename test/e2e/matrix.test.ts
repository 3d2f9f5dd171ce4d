import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Bench, direct, nameOf, through, type Cell } from "../support/matrix/cell.ts";
import { checks, type Check } from "../support/matrix/checks.ts";
import { checkMute, pairChecks } from "../support/matrix/checks-pairs.ts";
import { Peers } from "../support/matrix/peers.ts";

const peers = new Peers();
afterAll(() => peers.close());

const isPossible = ({ impossible }: Check, cell: Cell): boolean => impossible?.(cell) === undefined;

const benchOf = async (cell: Cell): Promise<Bench> => new Bench(cell, await peers.clientIn(cell));

const named = (some: readonly Check[]): [string, Check][] =>
  some.map((check) => [check.name, check]);

describe.each([...direct, ...through.flat()].map((cell) => [nameOf(cell), cell] as const))(
  "%s",
  (_, cell) => {
    let bench: Bench;
    beforeAll(async () => {
      bench = await benchOf(cell);
    });

    const here = checks.filter(
      (check) => isPossible(check, cell) && (check.isSlow !== true || cell.front === undefined),
    );
    it.each(named(here))("%s", async (__, { run }) => {
      expect.hasAssertions();
      await run(bench);
    });
  },
);

describe.each(
  through.map(
    (cells) =>
      [
        `a client of ${cells[0]?.client} by ${cells[0]?.front}, through the gateway, at all servers at once`,
        cells,
      ] as const,
  ),
)("%s", (_, cells) => {
  it.each(named(checks.filter(({ isSlow }) => isSlow === true)))("%s", async (__, check) => {
    expect.hasAssertions();
    const benches = await Promise.all(cells.filter((cell) => isPossible(check, cell)).map(benchOf));
    await Promise.all(benches.map((bench) => check.run(bench)));
  });
});

/** The gateway by HTTP has several clients at once. */
const pairs = through
  .flat()
  .filter(({ front }) => front === "http")
  .flatMap((one) =>
    (["2025", "2026"] as const)
      .filter((client) => client >= one.client)
      .map((client) => ({ one, two: { ...one, client } })),
  );

describe.each(
  pairs.map(({ one, two }) => [`${nameOf(one)}, and another of ${two.client}`, one, two] as const),
)("%s", (_, one, two) => {
  it.each(
    pairChecks.flatMap(({ name, run, impossible }) =>
      impossible?.(one, two) === true ? [] : [[name, run] as const],
    ),
  )("%s", async (__, run) => {
    const second = new Bench(two, await peers.clientIn(two, "second"));
    expect.hasAssertions();
    await run(await benchOf(one), second);
  });
});

describe.each(
  pairs
    .filter(({ one, two }) => one.client === two.client)
    .map(({ one }) => [nameOf(one), one] as const),
)("%s, which can be asked nothing", (_, cell) => {
  it("is answered all the same, and is not asked", async () => {
    expect.hasAssertions();
    await checkMute(new Bench(cell, await peers.clientIn(cell, "mute")));
  });
});

it("leaves out only what cannot be", () => {
  const left: Record<string, number> = {};
  for (const { name, impossible } of checks)
    for (const cell of through.flat()) {
      const reason = impossible?.(cell);
      if (reason === undefined) continue;
      const what = `${name}: ${reason}`;
      left[what] = (left[what] ?? 0) + 1;
    }
  expect(left).toEqual({
    "answers a ping: 2026-07-28 has no ping": 8,
    "passes no log messages that the client did not ask for: a server of 2025 chooses what it logs until a level is set": 8,
    "gives the result of a tool that has to be a task to a client that knows none: a server of 2026 answers with a result where its client knows no tasks": 8,
    "gives the result of a tool that has to be a task to a client that knows none: a client of 2025 that knows no tasks does not call such a tool": 4,
    "runs tasks: begun, watched, listed, cancelled, and their result taken: a client begins a task of 2025, and a server one of 2026, which the reference client takes none of": 12,
    "tells the server that the client's roots have changed: 2026-07-28 has no notifications of clients but cancels": 12,
    "tells a server its client's own error: 2026-07-28 has no way to answer a server with an error": 12,
    "sends its client to a URL first, and tells when it was there: a server of 2026-07-28 asks for that as for all else": 8,
  });
});
