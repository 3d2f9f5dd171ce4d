import { expect } from "vitest";
import type { Bench, Cell } from "./cell.ts";
import { until } from "./client.ts";

/** Something that two clients of one gateway do at the same time, at the same server. */
export interface PairCheck {
  readonly name: string;
  /** Whether it cannot be between these two. Default: it can. */
  readonly impossible?: (one: Cell, two: Cell) => boolean;
  readonly run: (one: Bench, two: Bench) => Promise<void>;
}

const updated = "notifications/resources/updated";

const form = {
  method: "elicitation/create",
  params: {
    mode: "form",
    message: "Your name?",
    requestedSchema: { type: "object", properties: { name: { type: "string" } } },
  },
};

/** What came to a client from now on, but for answers. */
const watch = ({ client }: Bench, method: string): (() => unknown[]) => {
  const from = client.notes.length;
  return () =>
    client.notes.slice(from).flatMap((note) => (note.method === method ? [note.params] : []));
};

export const pairChecks: readonly PairCheck[] = [
  {
    name: "are each asked what belongs to their own calls",
    run: async (one, two) => {
      // What the first question of a server among several calls means is not known; from then on it is.
      await one.callForJson("ask", { rounds: [{ a: form }] });
      const names = new Map([
        [one, "Ada"],
        [two, "Grace"],
      ]);
      for (const [{ client }, name] of names)
        client.answers["elicitation/create"] = () => ({ action: "accept", content: { name } });
      try {
        const turns = [one, two, two, one, one, two];
        const heard = await Promise.all(
          turns.map((bench) => bench.callForJson("ask", { rounds: [{ a: form }, { b: form }] })),
        );
        expect(heard).toEqual(
          turns.map((bench) => {
            const answer = { action: "accept", content: { name: names.get(bench) } };
            return { a: answer, b: answer };
          }),
        );
      } finally {
        for (const { client } of names.keys()) delete client.answers["elicitation/create"];
      }
    },
  },
  {
    name: "are told of changes for as long as they themselves want to know",
    run: async (one, two) => {
      const uri = `matrix://${one.id}/text`;
      const updates = [watch(one, updated), watch(two, updated)] as const;
      const end = [await one.client.subscribe(uri), await two.client.subscribe(uri)] as const;
      await one.call("touch", { uri });
      await until(() => updates.every((told) => told().length > 0));
      await end[1]();
      const before = updates.map((told) => told().length);
      await two.call("touch", { uri });
      await until(() => updates[0]().length > (before[0] ?? 0));
      await end[0]();
      await two.call("echo");
      expect(updates[1]().length).toBe(before[1]);
    },
  },
  {
    name: "take back their own calls alone",
    run: async (one, two) => {
      const keys = ["one", "two"].map((key) => `${key}-${one.cell.client}-${two.cell.client}`);
      const taken = new AbortController();
      const ended = one.call("hang", { key: keys[0] }, { signal: taken.signal }).catch(() => {});
      const other = new AbortController();
      const still = two
        .call("hang", { key: keys[1] }, { signal: other.signal })
        .then(() => "answered")
        .catch(() => "ended");
      for (const key of keys) await one.call("happened", { hanging: key });
      taken.abort();
      await ended;
      await one.call("happened", { cancelled: keys[0] });
      expect(await Promise.race([still, two.call("echo").then(() => "still there")])).toBe(
        "still there",
      );
      other.abort();
      expect(await still).toBe("ended");
      await two.call("happened", { cancelled: keys[1] });
    },
  },
  {
    name: "are told of their own tasks",
    // Tasks that clients list and watch are those of 2025.
    impossible: (one, two) =>
      one.server === "2026" || one.client === "2026" || two.client === "2026",
    run: async (one, two) => {
      const status = "notifications/tasks/status";
      const told = [watch(one, status), watch(two, status)] as const;
      const { task } = await one.request("tools/call", {
        name: one.name("task"),
        arguments: {},
        task: { ttl: 60_000 },
      });
      const { taskId } = task as { taskId: string };
      await one.call("release", { taskId });
      await until(() => told[0]().length > 0);
      await two.call("echo");
      expect(told[1]()).toEqual([]);
      expect(await two.refusal("tasks/get", { taskId })).toMatchObject({ code: -32602 });
      expect((await two.request("tasks/list", {}))["tasks"]).not.toContainEqual(
        expect.objectContaining({ taskId }),
      );
    },
  },
  {
    name: "are told what their own calls log",
    run: async (one, two) => {
      const logged = watch(two, "notifications/message");
      const mine = watch(one, "notifications/message");
      await one.client.request(
        "tools/call",
        await one.client.logging("info", { name: one.name("log"), arguments: {} }),
      );
      await until(() => mine().length >= 2);
      await two.call("echo");
      expect(logged()).toEqual([]);
    },
  },
  {
    name: "are told what their own calls log, also at the same time",
    // On stdio no message of 2026 says what it is about, with or without a gateway.
    impossible: ({ server, back }) => server === "2026" && back === "stdio",
    run: async (one, two) => {
      const benches = [one, one, two, two];
      const told = [watch(one, "notifications/message"), watch(two, "notifications/message")];
      await Promise.all(
        benches.map(async (bench) =>
          bench.client.request(
            "tools/call",
            await bench.client.logging("info", { name: bench.name("log"), arguments: {} }),
          ),
        ),
      );
      await until(() => told.every((notes) => notes().length >= 4));
      await Promise.all([one.call("echo"), two.call("echo")]);
      expect(told.map((notes) => notes().length)).toEqual([4, 4]);
    },
  },
];

/** What a client is told that no server can ask for anything. */
export async function checkMute(bench: Bench): Promise<void> {
  const from = bench.client.asked.length;
  const ask = { name: bench.name("ask"), arguments: { rounds: [{ a: form }] } };
  const answer = await bench
    .request("tools/call", ask)
    .catch((error: unknown) => ({ isError: true, error }));
  expect(answer).toMatchObject({ isError: true });
  expect(bench.client.asked.slice(from)).toEqual([]);
  expect((await bench.call("echo", { still: "there" }))["isError"]).toBeUndefined();
}
