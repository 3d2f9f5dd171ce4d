import { expect } from "vitest";
import { textOf } from "../raw-client.ts";
import type { Bench } from "./cell.ts";
import type { Check } from "./checks.ts";
import { until, type ListName } from "./client.ts";

/** Notifications of that kind from now on, as what they say. */
const watch = ({ client }: Bench, method: string): (() => Record<string, unknown>[]) => {
  const from = client.notes.length;
  return () =>
    client.notes.slice(from).flatMap((note) => (note.method === method ? [note.params] : []));
};

const lists: readonly ListName[] = ["tools", "prompts", "resources"];

/** Watches some lists, has the server change all, and resolves with which of them it told of once they are new. */
async function change(
  bench: Bench,
  watched: readonly ListName[],
  extra: boolean,
): Promise<ListName[]> {
  const has = async (list: ListName): Promise<boolean> =>
    (await bench.list(`${list}/list`, list)).some(({ name }) => name === "extra");
  // What another client has had changed may still be on its way.
  for (const list of lists) while ((await has(list)) === extra);
  const told = lists.map((list) => ({
    list,
    notes: watch(bench, `notifications/${list}/list_changed`),
  }));
  const end = await bench.client.watchLists(watched);
  await bench.call("change", { extra });
  const wanted = told.filter(({ list }) => watched.includes(list));
  await until(() => wanted.every(({ notes }) => notes().length > 0));
  for (const list of lists) while ((await has(list)) !== extra);
  await end();
  return told.filter(({ notes }) => notes().length > 0).map(({ list }) => list);
}

export const noticeChecks: readonly Check[] = [
  {
    name: "tells of changes of the resources that the client subscribed to, and of no others",
    run: async (bench) => {
      const [uri, other] = ["text", "blob"].map((path) => `matrix://${bench.id}/${path}`);
      const updates = watch(bench, "notifications/resources/updated");
      const end = await bench.client.subscribe(String(uri));
      await bench.call("touch", { uri: other });
      await bench.call("touch", { uri });
      await until(() => updates().length > 0);
      await end();
      await bench.call("touch", { uri });
      // What comes on another stream may come later than the answer.
      await bench.call("echo");
      expect(updates()).toEqual([expect.objectContaining({ uri })]);
    },
  },
  {
    name: "tells of changes of the lists that the client wants to know of, and lists what is new",
    isSlow: true,
    run: async (bench) => {
      expect(await change(bench, lists, true)).toEqual(lists);
      // A client of 2025 is told of all, whether it wants that or not.
      expect(await change(bench, ["tools"], false)).toEqual(
        bench.cell.client === "2025" ? lists : ["tools"],
      );
    },
  },
  {
    name: "tells the server that the client's roots have changed",
    impossible: ({ client, server }) =>
      client === "2026" || server === "2026"
        ? "2026-07-28 has no notifications of clients but cancels"
        : undefined,
    run: async (bench) => {
      const count = async (): Promise<number> => Number(textOf(await bench.call("roots_changed")));
      const before = await count();
      await bench.client.notify("notifications/roots/list_changed");
      let now: number;
      do now = await count();
      while (now === before);
      expect(now).toBe(before + 1);
    },
  },
];
