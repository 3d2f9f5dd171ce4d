import { during, inFlight, within } from "../driver/calls.mjs";
import { open } from "../driver/session.mjs";
import { isInstalled, rows } from "../rows.mjs";

// A phase is an object of
//   name, title, about
//   columns      [{ key, title, against }]: `against` names the rows that it has ratios to
//   axis         for curves: { title, of: "bytes" or undefined, isLinear: default false }
//   isHeadline   whether it runs without --all
//   usesAllCpus  default: driver, gateway and server share one
//   run(recorder, { sweeps, calls, rows })

const longestMs = 60_000;

/** The rows of a phase that are wanted and can be run. */
export const chosen = (options, belongs) =>
  rows.filter(
    (row) =>
      belongs(row) &&
      isInstalled(row) &&
      (options.rows === undefined || options.rows.includes(row.name)),
  );

/** Opens all rows at once, and calls each until its code is compiled; those that fail are recorded as such. */
export async function openAll(recorder, chosenRows) {
  const sessions = [];
  for (const row of chosenRows)
    await recorder.attempt(row.name, async () => {
      const session = await open(row);
      sessions.push(session);
      await within(
        longestMs,
        inFlight(64, () => session.echo(), during(2500)),
      );
    });
  return sessions;
}

export const closeAll = (sessions) => Promise.all(sessions.map((session) => session.close()));

/** Measures every session once in each round; each round begins with another one. What fails is closed. */
export async function inTurn(recorder, sessions, rounds, measure, x) {
  for (let round = 0; round < rounds; round++)
    for (let n = 0; n < sessions.length; n++) {
      const session = sessions[(n + round) % sessions.length];
      const { name } = session.row;
      if (recorder.hasFailed(name)) continue;
      await recorder.attempt(
        name,
        async () => recorder.record(name, round, await within(longestMs, measure(session)), x),
        x,
      );
      if (recorder.hasFailed(name)) await session.close();
    }
}
