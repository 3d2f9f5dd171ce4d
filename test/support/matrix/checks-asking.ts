import { expect } from "vitest";
import type { JsonObject } from "../../../src/call.ts";
import { textOf } from "../raw-client.ts";
import type { Bench } from "./cell.ts";
import type { Check } from "./checks.ts";
import { until } from "./client.ts";

/** What a server may ask, by name, and what the client answers. */
const requests = {
  form: {
    method: "elicitation/create",
    params: {
      mode: "form",
      message: "Your name?",
      requestedSchema: {
        type: "object",
        properties: { name: { type: "string", title: "Name" } },
        required: ["name"],
      },
    },
  },
  sampling: {
    method: "sampling/createMessage",
    params: {
      messages: [{ role: "user", content: { type: "text", text: "Say something" } }],
      maxTokens: 100,
      systemPrompt: "Be short",
    },
  },
  roots: { method: "roots/list" },
} as const;
const answers = {
  form: { action: "accept", content: { name: "Ada" } },
  url: { action: "accept" },
  sampling: { role: "assistant", model: "a-model", content: { type: "text", text: "sampled" } },
  roots: { roots: [{ uri: "file:///work", name: "work" }] },
};

/** The id of an elicitation by URL is the older era's alone. */
const urlFor = (server: string) => ({
  method: "elicitation/create",
  params: {
    mode: "url",
    message: "Go there",
    url: "https://example.com/go",
    ...(server === "2025" && { elicitationId: "e1" }),
  },
});

const askOnce = (name: keyof typeof requests): Check => ({
  name: `lets a server ask its client meanwhile: ${name}`,
  run: async (bench) => {
    const from = bench.client.asked.length;
    expect(await bench.callForJson("ask", { rounds: [{ it: requests[name] }] })).toEqual({
      it: answers[name],
    });
    const [asked, ...more] = bench.client.asked.slice(from);
    expect(more).toEqual([]);
    expect(asked).toMatchObject(requests[name]);
  },
});

/** Has the client answer otherwise for as long as `run` takes. */
async function answering(
  { client }: Bench,
  method: string,
  answer: () => JsonObject,
  run: () => Promise<void>,
): Promise<void> {
  client.answers[method] = answer;
  try {
    await run();
  } finally {
    delete client.answers[method];
  }
}

export const askingChecks: readonly Check[] = [
  askOnce("form"),
  askOnce("sampling"),
  askOnce("roots"),
  {
    name: "lets a server ask its client meanwhile: to go to a URL",
    run: async (bench) => {
      const from = bench.client.asked.length;
      const url = urlFor(bench.cell.server);
      expect(await bench.callForJson("ask", { rounds: [{ it: url }] })).toEqual({
        it: answers.url,
      });
      const { mode, message, url: address } = url.params;
      expect(bench.client.asked.slice(from)).toEqual([
        {
          method: url.method,
          params: expect.objectContaining({ mode, message, url: address }) as JsonObject,
        },
      ]);
    },
  },
  {
    name: "lets a server ask several things, and then more",
    run: async (bench) => {
      const from = bench.client.asked.length;
      const rounds = [
        { one: requests.form, two: requests.roots },
        { three: requests.sampling, four: requests.form },
      ];
      expect(await bench.callForJson("ask", { rounds })).toEqual({
        one: answers.form,
        two: answers.roots,
        three: answers.sampling,
        four: answers.form,
      });
      const methods = bench.client.asked.slice(from).map(({ method }) => method);
      expect(methods.slice(0, 2).toSorted()).toEqual(["elicitation/create", "roots/list"]);
      expect(methods.slice(2).toSorted()).toEqual(["elicitation/create", "sampling/createMessage"]);
    },
  },
  {
    name: "tells a server that its client declines, or takes back what it is asked",
    run: async (bench) => {
      for (const action of ["decline", "cancel"])
        await answering(
          bench,
          "elicitation/create",
          () => ({ action }),
          async () => {
            expect(await bench.callForJson("ask", { rounds: [{ it: requests.form }] })).toEqual({
              it: { action },
            });
          },
        );
    },
  },
  {
    name: "tells a server its client's own error",
    impossible: ({ client, server }) =>
      client === "2026" || server === "2026"
        ? "2026-07-28 has no way to answer a server with an error"
        : undefined,
    run: async (bench) => {
      const error = { code: -31001, message: "Not today", data: { why: "it is Sunday" } };
      const fail = (): never => {
        throw Object.assign(new Error(error.message), error);
      };
      await answering(bench, "sampling/createMessage", fail, async () => {
        const name = bench.name("ask");
        const call = { name, arguments: { rounds: [{ it: requests.sampling }] } };
        expect(await bench.refusal("tools/call", call)).toEqual(error);
      });
    },
  },
  {
    name: "sends its client to a URL first, and tells when it was there",
    impossible: ({ server }) =>
      server === "2026" ? "a server of 2026-07-28 asks for that as for all else" : undefined,
    run: async (bench) => {
      const elicitationId = `${bench.cell.client}-${bench.cell.front}`;
      const call = { name: bench.name("visit"), arguments: { elicitationId } };
      const place = { message: "Go there first", url: "https://example.com/visit" };
      const from = bench.client.asked.length;
      if (bench.cell.client === "2025") {
        expect(await bench.refusal("tools/call", call)).toMatchObject({
          code: -32042,
          data: { elicitations: [{ mode: "url", elicitationId, ...place }] },
        });
        const complete = "notifications/elicitation/complete";
        await until(() =>
          bench.client.notes.some(
            ({ method, params }) =>
              method === complete && params["elicitationId"] === elicitationId,
          ),
        );
      }
      // One of the newer era is asked at once, and the call repeated.
      expect(textOf(await bench.request("tools/call", call))).toBe("visited");
      expect(bench.client.asked.slice(from)).toMatchObject(
        bench.cell.client === "2025" ? [] : [{ method: "elicitation/create", params: place }],
      );
    },
  },
  {
    name: "lets a prompt ask its client",
    run: async (bench) => {
      expect(await bench.request("prompts/get", { name: bench.name("asking") })).toEqual({
        messages: [{ role: "user", content: { type: "text", text: "I am Ada" } }],
      });
    },
  },
];
