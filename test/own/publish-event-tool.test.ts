import { expect, it } from "vitest";
import { OwnTools } from "../../src/own/own-tools.ts";
import { publishEventTool } from "../../src/own/publish-event-tool.ts";
import { call } from "../support/calls.ts";

it("takes an event that says no more than its type", async () => {
  const published: unknown[] = [];
  const tool = publishEventTool({
    publish: (type, data) => {
      published.push([type, data]);
      return Promise.resolve({ id: "1", told: 0, failed: 0, pending: 0 });
    },
  });
  const tools = new OwnTools(new Map([["publish_event", tool]]), () => Promise.resolve(undefined));
  const params = { name: "publish_event", arguments: { type: "lead.created" } };
  expect(await tools.handle(call({ params }))).toMatchObject({ structuredContent: { id: "1" } });
  expect(published).toEqual([["lead.created", null]]);
});
