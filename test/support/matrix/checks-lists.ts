import { expect } from "vitest";
import type { JsonObject } from "../../../src/call.ts";
import type { Check } from "./checks.ts";
import { promptsOf, resourcesOf, templatesOf, toolsOf } from "./contents.mjs";

/** As JSON has it: a member that is undefined is none. */
const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** Tools that servers of one era have and those of the other cannot. */
const ofOneEra = ["task", "must_be_task", "release", "roots_changed", "visit"];

export const listChecks: readonly Check[] = [
  {
    name: "says what the server says about its use",
    run: async ({ client, id }) => {
      expect(client.instructions).toContain(`Instructions of ${id}`);
      expect(client.capabilities).toMatchObject({
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        completions: {},
        logging: {},
      });
    },
  },
  {
    name: "lists tools with everything that they say of themselves",
    run: async (bench) => {
      const tools = await bench.list("tools/list", "tools");
      const common = tools.filter(({ name }) => !ofOneEra.includes(String(name)));
      expect(common).toEqual(asJson(toolsOf(bench.id)));
    },
  },
  {
    name: "lists prompts, resources and templates with everything that they say of themselves",
    run: async (bench) => {
      expect(await bench.list("prompts/list", "prompts")).toEqual(asJson(promptsOf()));
      expect(await bench.list("resources/list", "resources")).toEqual(resourcesOf(bench.id));
      expect(await bench.list("resources/templates/list", "resourceTemplates")).toEqual(
        templatesOf(bench.id),
      );
    },
  },
  {
    name: "refuses a cursor that it never gave",
    run: async (bench) => {
      for (const list of ["tools", "prompts", "resources", "resources/templates"])
        expect(await bench.refusal(`${list}/list`, { cursor: "made up" })).toMatchObject({
          code: -32602,
        });
    },
  },
  {
    name: "reads resources: text, blob, by a template, and by a link that is listed nowhere",
    run: async (bench) => {
      const read = async (path: string): Promise<unknown> => {
        const uri = `matrix://${bench.id}/${path}`;
        const { contents, ...rest } = await bench.request("resources/read", { uri });
        expect(rest).toEqual({});
        const [{ _meta: meta, uri: said, ...content } = {}] = contents as JsonObject[];
        expect(said).toBe(uri);
        expect(meta).toEqual({ "example.com/read": true });
        return content;
      };
      expect(await read("text")).toEqual({ mimeType: "text/plain", text: "hello" });
      expect(await read("blob")).toEqual({ blob: "YmxvYg==" });
      expect(await read("item/42")).toEqual({ mimeType: "text/plain", text: "item 42" });
      await bench.call("kinds");
      expect(await read("hidden")).toEqual({ text: "found by its link" });
    },
  },
  {
    name: "says that there is no such resource, with its era's code and the server's data",
    run: async (bench) => {
      for (const uri of [`matrix://${bench.id}/nowhere`, `nowhere:${bench.id}`]) {
        const { code, data } = await bench.refusal("resources/read", { uri });
        expect(code).toBe(bench.cell.client === "2025" ? -32002 : -32602);
        expect(data).toEqual({ uri });
      }
    },
  },
  {
    name: "gives prompts, with arguments and without",
    run: async (bench) => {
      const message = (role: string, text: string) => ({ role, content: { type: "text", text } });
      expect(await bench.request("prompts/get", { name: bench.name("plain") })).toEqual({
        description: "plain",
        messages: [message("user", "plain")],
      });
      const name = bench.name("greet");
      expect(
        await bench.request("prompts/get", { name, arguments: { who: "Ada", how: "Ahoy" } }),
      ).toEqual({
        messages: [message("user", "Ahoy, Ada"), message("assistant", "Hi")],
        _meta: { "example.com/prompt": true },
      });
      expect(
        await bench.refusal("prompts/get", { name: bench.name("no_such_prompt") }),
      ).toMatchObject({ code: -32602 });
    },
  },
  {
    name: "completes arguments of prompts and of templates, given those that are known",
    run: async (bench) => {
      const complete = (ref: JsonObject, name: string, value: string, context?: JsonObject) =>
        bench.request("completion/complete", {
          ref,
          argument: { name, value },
          ...(context !== undefined && { context }),
        });
      const prompt = { type: "ref/prompt", name: bench.name("greet") };
      expect(await complete(prompt, "who", "A", { arguments: { how: "Ahoy" } })).toEqual({
        completion: { values: ["Ada", "Alan", "Ahoy"], total: 2, hasMore: false },
      });
      const template = { type: "ref/resource", uri: `matrix://${bench.id}/item/{number}` };
      expect(await complete(template, "number", "1")).toEqual({
        completion: { values: ["1", "12"], total: 2, hasMore: false },
      });
    },
  },
  {
    name: "serves an app: its page, and calls of its tools by the names that its server gave them",
    run: async (bench) => {
      const uri = `ui://${bench.id}/board`;
      const { contents } = await bench.request("resources/read", { uri });
      expect(contents).toEqual([
        {
          uri,
          mimeType: "text/html;profile=mcp-app",
          text: "<p>board</p>",
          _meta: { ui: { prefersBorder: true } },
        },
      ]);
      const move = { name: `move_${bench.id}`, arguments: { to: 1 } };
      expect(await bench.request("tools/call", move)).toEqual({
        content: [{ type: "text", text: '["moved",{"to":1}]' }],
      });
    },
  },
];
