import { expect } from "vitest";
import type { JsonObject } from "../../../src/call.ts";
import { textOf } from "../raw-client.ts";
import type { Check } from "./checks.ts";
import { capabilities, until } from "./client.ts";
import { kinds } from "./contents.mjs";

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

export const toolChecks: readonly Check[] = [
  {
    name: "passes arguments and `_meta` to a tool, and its `_meta` back",
    run: async (bench) => {
      const given = { text: "ä€😀\u2028", deep: { list: [1, null, { a: true }] }, big: 1e21 };
      const meta = { "example.com/mine": { deep: [1] }, traceparent, tracestate: "a=1" };
      const { content, _meta: back } = await bench.request("tools/call", {
        name: bench.name("echo"),
        arguments: given,
        _meta: meta,
      });
      expect(content).toEqual([{ type: "text", text: JSON.stringify(given) }]);
      const heard = (back as Record<string, JsonObject>)["example.com/heard"];
      expect(heard).toEqual({ ...meta, traceparent: expect.any(String) });
      // A gateway may be a span of its own in that trace.
      expect(heard?.["traceparent"]).toContain(traceparent.slice(0, 36));
    },
  },
  {
    name: "tells a server what its client can do",
    run: async (bench) => {
      const { roots: _, ...can } = capabilities;
      expect(await bench.callForJson("client", {})).toMatchObject({ ...can, roots: {} });
    },
  },
  {
    name: "passes structured content, with the text that says the same",
    run: async (bench) => {
      expect(await bench.call("sum", { a: 1, b: 2 })).toEqual({
        content: [{ type: "text", text: '{"sum":3}' }],
        structuredContent: { sum: 3 },
      });
    },
  },
  {
    name: "passes every kind of content, and what the protocol does not know",
    run: async (bench) => {
      expect(await bench.call("kinds")).toEqual(kinds(bench.id));
    },
  },
  {
    name: "passes a tool's refusal as a result",
    run: async (bench) => {
      expect(await bench.call("refuse")).toEqual({
        content: [{ type: "text", text: "I refuse" }],
        isError: true,
      });
    },
  },
  {
    name: "passes an error with its code, message and data",
    run: async (bench) => {
      expect(await bench.refusal("tools/call", { name: bench.name("fail") })).toEqual({
        code: -31000,
        message: "It failed",
        data: { why: ["on", "purpose"] },
      });
    },
  },
  {
    name: "refuses unknown tools and methods",
    run: async (bench) => {
      const unknown = { name: bench.name("no_such_tool"), arguments: {} };
      expect(await bench.refusal("tools/call", unknown)).toMatchObject({ code: -32602 });
      expect(await bench.refusal("no/such_method", {})).toMatchObject({ code: -32601 });
    },
  },
  {
    name: "passes a result of a mebibyte",
    run: async (bench) => {
      const result = await bench.call("big");
      expect(textOf(result) === "x".repeat(1024 * 1024)).toBe(true);
      // What is as large as this is passed as it came, with what the newer era says of every result.
      expect(Object.keys(result).filter((key) => key !== "resultType")).toEqual(["content"]);
    },
  },
  {
    name: "passes progress, in order",
    run: async (bench) => {
      const seen: JsonObject[] = [];
      const onProgress = (progress: JsonObject): void => void seen.push(progress);
      expect(textOf(await bench.call("steps", {}, { onProgress }))).toBe("done");
      await until(() => seen.length >= 3);
      expect(seen).toEqual(
        [1, 2, 3].map((step) => ({ progress: step, total: 3, message: `step ${step}` })),
      );
    },
  },
  {
    name: "takes a cancel to the server",
    run: async (bench) => {
      const key = `${bench.cell.client}-${bench.cell.front}`;
      const taken = new AbortController();
      const call = bench.call("hang", { key }, { signal: taken.signal });
      const ended = call.catch(() => "ended");
      await bench.call("happened", { hanging: key });
      taken.abort();
      expect(await ended).toBe("ended");
      expect(textOf(await bench.call("happened", { cancelled: key }))).toBe("yes");
    },
  },
  {
    name: "passes log messages from the level on that the client wants",
    run: async (bench) => {
      const { client } = bench;
      const from = client.notes.length;
      await client.request(
        "tools/call",
        await client.logging("info", { name: bench.name("log"), arguments: {} }),
      );
      const logged = () =>
        client.notes.slice(from).filter(({ method }) => method === "notifications/message");
      await until(() => logged().length >= 2);
      expect(logged().map(({ params }) => params)).toEqual(
        ["info", "error"].map((level) => ({
          level,
          logger: bench.cell.front === undefined ? "main" : `${bench.id}/main`,
          data: { said: level },
        })),
      );
    },
  },
  {
    name: "passes no log messages that the client did not ask for",
    impossible: ({ client }) =>
      client === "2025" ? "a server of 2025 chooses what it logs until a level is set" : undefined,
    run: async (bench) => {
      const from = bench.client.notes.length;
      await bench.call("log");
      await bench.call("echo");
      expect(bench.client.notes.slice(from)).toEqual([]);
    },
  },
  {
    name: "answers a ping",
    impossible: ({ client }) => (client === "2026" ? "2026-07-28 has no ping" : undefined),
    run: async (bench) => {
      expect(await bench.request("ping", {})).toEqual({});
    },
  },
  {
    name: "gives the result of a tool that can be a task to a client that wants none",
    run: async (bench) => {
      expect(await bench.call("task")).toEqual({
        content: [{ type: "text", text: "the task is done" }],
      });
    },
  },
  {
    name: "gives the result of a tool that has to be a task to a client that knows none",
    impossible: ({ client, server }) =>
      server === "2026"
        ? "a server of 2026 answers with a result where its client knows no tasks"
        : client === "2025"
          ? "a client of 2025 that knows no tasks does not call such a tool"
          : undefined,
    run: async (bench) => {
      expect(await bench.call("must_be_task")).toMatchObject({
        content: [{ type: "text", text: "was a task" }],
      });
    },
  },
  {
    name: "runs tasks: begun, watched, listed, cancelled, and their result taken",
    impossible: ({ client, server }) =>
      client === "2026" || server === "2026"
        ? "a client begins a task of 2025, and a server one of 2026, which the reference client takes none of"
        : undefined,
    run: async (bench) => {
      const begin = async (): Promise<string> => {
        const { task } = await bench.request("tools/call", {
          name: bench.name("task"),
          arguments: {},
          task: { ttl: 60_000 },
        });
        expect(task).toMatchObject({ status: "working", ttl: 60_000, pollInterval: 10 });
        return (task as { taskId: string }).taskId;
      };
      const taskId = await begin();
      expect(await bench.request("tasks/get", { taskId })).toMatchObject({
        taskId,
        status: "working",
      });
      const { tasks } = await bench.request("tasks/list", {});
      expect(tasks).toContainEqual(expect.objectContaining({ taskId }));
      const result = bench.request("tasks/result", { taskId });
      await bench.call("release", { taskId });
      expect(await result).toEqual({
        content: [{ type: "text", text: "the task is done" }],
        _meta: { "io.modelcontextprotocol/related-task": { taskId } },
      });
      await until(() =>
        bench.client.notes.some(
          ({ method, params }) =>
            method === "notifications/tasks/status" &&
            params["taskId"] === taskId &&
            params["status"] === "completed",
        ),
      );
      const other = await begin();
      expect(await bench.request("tasks/cancel", { taskId: other })).toMatchObject({
        status: "cancelled",
      });
      expect(await bench.refusal("tasks/get", { taskId: "no such" })).toMatchObject({
        code: -32602,
      });
    },
  },
];
