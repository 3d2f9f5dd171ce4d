import { describe, expect, it } from "vitest";
import { CrashWorld, problemsIn, type Counts, type Life } from "../support/crash-world.ts";
import { variants } from "../support/sagas.ts";
import { seeded, type Random } from "../support/random.ts";

/*
 * Gateways that are killed in the middle of sagas. In `npm run crash` for long; `SEED` and `KILLS` say how it goes.
 */
const isLong = process.env["npm_lifecycle_event"] === "crash";
const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const kills = Number(process.env["KILLS"] ?? (isLong ? 200 : 12));

const patience = 60_000 + kills * 10_000;

/** Milliseconds from a start until a run that was left behind has moved. */
const moved: number[] = [];

/** Lives in a world, one after the other. */
class Killer {
  readonly world = new CrashWorld();
  readonly begun: string[] = [];
  kills = 0;
  readonly #random: Random;
  #life: Life | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  async life(): Promise<Life> {
    return (this.#life ??= await this.world.start());
  }

  async begin(names: readonly string[]): Promise<void> {
    const life = await this.life();
    for (const variant of variants.filter(({ name }) => names.includes(name)))
      void life.begin(variant).then((id) => id !== undefined && this.begun.push(id));
  }

  /** Kills the gateway and starts the next one; perhaps kills that too as soon as it has gone on. */
  async kill(): Promise<void> {
    await (await this.life()).kill();
    this.kills++;
    this.#life = undefined;
    const before = this.world.counts();
    const start = performance.now();
    const next = this.world.start();
    const isLeft = before.settled < before.runs;
    if (isLeft) {
      await this.world.until((counts) => differs(counts, before));
      moved.push(performance.now() - start);
    }
    this.#life = await next;
    if (isLeft && this.#random() < 0.3) await this.kill();
  }

  /** What is wrong when all has come to its end. */
  async problems(): Promise<string[]> {
    return problemsIn(this.world, await this.life(), this.begun);
  }
}

const differs = (a: Counts, b: Counts): boolean =>
  a.intents !== b.intents ||
  a.results !== b.results ||
  a.effects !== b.effects ||
  a.settled !== b.settled;

describe.sequential(`sagas survive kills (SEED=${seed})`, () => {
  it(
    "at points of their journals, and between effects and what is written of them",
    async () => {
      const random = seeded(seed);
      const killer = new Killer(random);
      let points = 0;
      for (const { name, what, nth } of isLong ? allPoints() : somePoints(random, 8)) {
        if (!isLong && killer.kills >= 8) break;
        const reached = await killAt(killer, name, what, nth);
        if (!reached) isOver.add(`${name} ${what}`);
        points += Number(reached);
        expect(await killer.problems(), `SEED=${seed}`).toEqual([]);
      }
      tell(`killed ${killer.kills} times at ${points} points`);
    },
    patience,
  );

  it(
    "at any time, several runs at once",
    async () => {
      const random = seeded(seed + 1);
      let killed = 0;
      while (killed < kills) {
        const killer = new Killer(random);
        while (killer.kills < 25 && killed + killer.kills < kills) {
          const names = variants.map(({ name }) => name).filter(() => random() < 0.6);
          const before = killer.world.counts();
          await killer.begin(names);
          if (names.length > 0) await killer.world.until(({ runs }) => runs > before.runs);
          await new Promise((resolve) => setTimeout(resolve, random() * 600));
          await killer.kill();
          expect(await killer.problems(), `SEED=${seed}`).toEqual([]);
        }
        await (await killer.life()).client.close();
        killed += killer.kills;
      }
      tell(`killed ${killed} times at random`);
      report();
    },
    patience,
  );
});

interface Point {
  readonly name: string;
  readonly what: "intents" | "effects" | "results";
  /** How many of them there are in the run when it is killed. */
  readonly nth: number;
}

/** What has no more points, as `name what`. */
const isOver = new Set<string>();

function* allPoints(): Iterable<Point> {
  for (const { name } of variants)
    for (const what of ["intents", "effects", "results"] as const)
      for (let nth = 1; !isOver.has(`${name} ${what}`); nth++) yield { name, what, nth };
}

const somePoints = (random: Random, count: number): Point[] =>
  Array.from({ length: count }, () => {
    const { name = "" } = variants[Math.floor(random() * variants.length)] ?? {};
    const what = (["intents", "effects", "results"] as const)[Math.floor(random() * 3)];
    return { name, what: what ?? "effects", nth: 1 + Math.floor(random() * 4) };
  });

/** Kills a gateway at a point of a run; false where the run ended before. */
async function killAt(killer: Killer, name: string, what: Point["what"], nth: number) {
  const { world } = killer;
  const before = world.counts();
  await killer.begin([name]);
  const at = await world.until(
    (counts) =>
      counts[what] >= before[what] + nth ||
      (counts.runs > before.runs && counts.settled === counts.runs),
  );
  if (at[what] < before[what] + nth) return false;
  await killer.kill();
  return true;
}

const tell = (line: string): unknown => process.stdout.write(`${line} (SEED=${seed})\n`);

function report(): void {
  const sorted = moved.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(0);
  tell(
    `went on after ${sorted.length} starts: median ${at(0.5)} ms, 95 % ${at(0.95)} ms, longest ${at(1)} ms`,
  );
}
