import { describe, expect, it } from "vitest";
import type { Lists } from "../../src/call.ts";
import { exposeResources, parseQualified, qualifiedUri } from "../../src/catalog/resources.ts";

const stock = (upstream: string, lists: Partial<Lists>) => ({
  upstream,
  lists: { tools: [], prompts: [], resources: [], resourceTemplates: [], ...lists },
});

describe("qualified URIs", () => {
  it.each([
    ["github", "file:///a/b?c=d#e"],
    ["a/b c", "x:1"],
    ["größe", "holdfast://other/x:1"],
  ])("name server %s and keep %s as it is", (upstream, uri) => {
    expect(parseQualified(qualifiedUri(upstream, uri))).toEqual({ upstream, uri });
  });

  it.each(["x:1", "holdfast://", "holdfast://server", "holdfast://%zz/x"])("are not %s", (uri) => {
    expect(parseQualified(uri)).toBeUndefined();
  });
});

describe("exposeResources", () => {
  it("gives a URI that several offer to the first, and lists the others' under their qualified URIs", () => {
    const { resources, locate } = exposeResources([
      stock("one", { resources: [{ uri: "x:1", name: "first" }] }),
      stock("two", { resources: [{ uri: "x:1" }, { uri: "x:2" }] }),
    ]);
    expect(resources).toEqual([
      { upstream: "one", definition: { uri: "x:1", name: "first" } },
      { upstream: "two", definition: { uri: "holdfast://two/x:1" } },
      { upstream: "two", definition: { uri: "x:2" } },
    ]);
    expect(locate("x:1")).toEqual([{ upstream: "one", uri: "x:1" }]);
    expect(locate("holdfast://two/x:1")).toEqual([{ upstream: "two", uri: "x:1" }]);
    expect(locate("x:3")).toEqual([]);
  });

  it("finds what matches a template at all servers that have one, in config order", () => {
    const { locate } = exposeResources([
      stock("one", { resourceTemplates: [{ uriTemplate: "db://{table}/{id}" }] }),
      stock("two", { resourceTemplates: [{ uriTemplate: "db://users/{+rest}" }] }),
    ]);
    expect(locate("db://users/7").map(({ upstream }) => upstream)).toEqual(["one", "two"]);
    expect(locate("db://users").map(({ upstream }) => upstream)).toEqual([]);
    expect(locate("db://{table}/{id}")).toEqual([{ upstream: "one", uri: "db://{table}/{id}" }]);
  });

  it("is not held up by a template that matches slowly", () => {
    const templates = [
      `${"{a}x".repeat(8)}y`,
      `${"{a}x".repeat(1000)}y`,
      `{a}${"x".repeat(500_000)}y`,
      "{".repeat(500_000),
    ];
    const { locate } = exposeResources([
      stock("one", { resourceTemplates: templates.map((uriTemplate) => ({ uriTemplate })) }),
    ]);
    const begun = performance.now();
    for (const length of [50, 4000, 1_000_000]) expect(locate("x".repeat(length))).toEqual([]);
    expect(performance.now() - begun).toBeLessThan(1000);
  });

  it("finds the user interface that a tool names, though it is not listed", () => {
    const tool = { name: "show", _meta: { ui: { resourceUri: "ui://show" } } };
    const old = { name: "old", _meta: { "ui/resourceUri": "ui://old" } };
    const { locate } = exposeResources([stock("one", {}), stock("two", { tools: [tool, old] })]);
    expect(locate("ui://show")).toEqual([{ upstream: "two", uri: "ui://show" }]);
    expect(locate("ui://old")).toEqual([{ upstream: "two", uri: "ui://old" }]);
  });

  it("leaves out what has no URI", () => {
    const { resources } = exposeResources([
      stock("one", { resources: [{ name: "x" }, { uri: 3 }] }),
    ]);
    expect(resources).toEqual([]);
  });
});
