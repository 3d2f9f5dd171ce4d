import { describe, expect, it } from "vitest";
import { appTools } from "../../src/catalog/apps.ts";
import type { JsonObject, Tool } from "../../src/call.ts";
import { tool } from "../support/calls.ts";

const listed = (upstream: string, remoteName: string, meta?: JsonObject): Tool => {
  const name = `${upstream}__${remoteName}`;
  return tool({ name, upstream, remoteName, definition: { name, _meta: meta } });
};

const shown = { ui: { resourceUri: "ui://shown" } };

const namesFrom = (tools: readonly Tool[]): string[][] =>
  [...appTools(tools)].map(([name, found]) => [name, found.name]);

describe("the tools that a server's own user interface calls", () => {
  it("are those of its server, by the names that the server gives them", () => {
    const tools = [
      listed("maps", "show", shown),
      listed("maps", "refresh"),
      listed("other", "delete"),
    ];
    expect(namesFrom(tools)).toEqual([
      ["show", "maps__show"],
      ["refresh", "maps__refresh"],
    ]);
  });

  it("are known by the older form of the extension too", () => {
    expect(namesFrom([listed("maps", "show", { "ui/resourceUri": "ui://shown" })])).toEqual([
      ["show", "maps__show"],
    ]);
  });

  it("are not those that are for models alone, and are those for apps alone", () => {
    const tools = [
      listed("maps", "show", shown),
      listed("maps", "plan", { ui: { visibility: ["model"] } }),
      listed("maps", "next", { ui: { visibility: ["app"] } }),
    ];
    expect(namesFrom(tools).map(([name]) => name)).toEqual(["show", "next"]);
  });

  it("are nobody's where two servers with user interfaces use the name", () => {
    const tools = [
      listed("maps", "show", shown),
      listed("maps", "refresh"),
      listed("charts", "draw", shown),
      listed("charts", "refresh"),
      listed("plain", "draw"),
    ];
    expect(namesFrom(tools).map(([name]) => name)).toEqual(["show", "draw"]);
  });
});
