import { expect } from "vitest";
import type { JsonObject } from "../../../src/call.ts";
import type { Check } from "./checks.ts";

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
    name: "lets a prompt ask its client",
    run: async (bench) => {
      expect(await bench.request("prompts/get", { name: bench.name("asking") })).toEqual({
        messages: [{ role: "user", content: { type: "text", text: "I am Ada" } }],
      });
    },
  },
];
