import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Lists, ToolDefinition } from "../../src/call.ts";
import { buildCatalog, type Shelf, type Stock } from "../../src/catalog/catalog.ts";

const names = { separator: "__", maxLength: 49 };
/** A stock of tools; what is not given is as config has it by default. */
const shelf = ({
  upstream,
  tools = [],
  lists = {},
  ...over
}: Partial<Shelf> & {
  upstream?: string;
  tools?: readonly ToolDefinition[];
  lists?: Partial<Lists>;
} = {}): Stock => ({
  upstream: upstream ?? over.prefix ?? "up",
  shelf: { prefix: "up", trust: true, allow: ["*"], deny: [], overrides: new Map(), ...over },
  lists: { prompts: [], resources: [], resourceTemplates: [], ...lists, tools },
});
const toolsOf = (...tools: string[]): ToolDefinition[] => tools.map((name) => ({ name }));
const exposed = (...shelves: Stock[]): string[][] =>
  [...buildCatalog(shelves, names).tools.values()].map(({ name, upstream, remoteName }) => [
    name,
    upstream,
    remoteName,
  ]);

describe("buildCatalog", () => {
  it("prefixes names and keeps the order of config and of each server", () => {
    expect(
      exposed(
        shelf({ prefix: "b", tools: toolsOf("z", "a") }),
        shelf({ prefix: "a", tools: toolsOf("one") }),
        shelf({ upstream: "bare", prefix: "", tools: toolsOf("two") }),
      ),
    ).toEqual([
      ["b__z", "b", "z"],
      ["b__a", "b", "a"],
      ["a__one", "a", "one"],
      ["two", "bare", "two"],
    ]);
  });

  it("replaces characters that hosts refuse, and gives the plain name to the tool that spells it so", () => {
    const [first, second, third] = exposed(shelf({ tools: toolsOf("a.b", "a_b", "a/b") }));
    expect(first?.[0]).toMatch(/^up__a_b_[0-9a-f]{8}$/);
    expect(second?.[0]).toBe("up__a_b");
    expect(third?.[0]).toMatch(/^up__a_b_[0-9a-f]{8}$/);
    expect(first?.[0]).not.toBe(third?.[0]);
  });

  it("gives a name that several servers want to the first in config order, and all others get one of their own", () => {
    const shelves = ["one", "two", "three"].map((upstream) =>
      shelf({ upstream, prefix: "", tools: toolsOf("search") }),
    );
    const found = exposed(...shelves);
    expect(found[0]).toEqual(["search", "one", "search"]);
    expect(new Set(found.map(([name]) => name)).size).toBe(3);
  });

  it("shows a tool that its server lists twice once, as it is listed first", () => {
    const tools = [{ name: "a", title: "first" }, { name: "b" }, { name: "a", title: "second" }];
    const found = buildCatalog(
      [shelf({ tools, lists: { prompts: [{ name: "p" }, { name: "p" }] } })],
      names,
    );
    expect([...found.tools.values()].map(({ definition }) => definition)).toEqual([
      { name: "up__a", title: "first" },
      { name: "up__b" },
    ]);
    expect([...found.prompts.keys()]).toEqual(["up__p"]);
  });

  it("cuts a long name to the limit, keeps something of the tool's own name, and ends it with a hash", () => {
    const [[name = ""] = []] = exposed(
      shelf({
        prefix: "a-server-with-a-rather-long-name-of-its-own",
        tools: toolsOf("create_issue"),
      }),
    );
    expect(name).toHaveLength(49);
    expect(name).toMatch(/^a-server-with-a-rather-lo[a-z]*__create_issue_[0-9a-f]{8}$/);
  });

  it("gives every tool a unique, allowed name within the limit, the same in every run", () => {
    const tool = fc.string({ minLength: 1, maxLength: 140 });
    const tools = fc.uniqueArray(tool, { maxLength: 20 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ maxLength: 60 }), tools), { maxLength: 5 }),
        (servers) => {
          const shelves = servers.map(([prefix, list], index) =>
            shelf({ upstream: `s${index}`, prefix, tools: toolsOf(...list) }),
          );
          const found = exposed(...shelves);
          expect(found).toHaveLength(servers.flatMap(([, list]) => list).length);
          expect(new Set(found.map(([name]) => name)).size).toBe(found.length);
          for (const [name] of found) expect(name).toMatch(/^[A-Za-z0-9_-]{1,49}$/);
          expect(exposed(...shelves)).toEqual(found);
        },
      ),
    );
  });

  it("does not depend on the order in which a server lists its tools", () => {
    const tools = toolsOf("a.b", "a/b", "a b", "x");
    const nameOf = (list: ToolDefinition[]): Record<string, string> =>
      Object.fromEntries(exposed(shelf({ tools: list })).map(([name, , own]) => [own, name]));
    expect(nameOf(tools.toReversed())).toEqual(nameOf(tools));
  });

  it("shows what allow lets through and deny does not take", () => {
    const tools = toolsOf("get_a", "get_b", "delete_a", "drop[1]");
    expect(exposed(shelf({ tools, allow: ["get_*", "drop[1]"], deny: ["*_b"] }))).toEqual([
      ["up__get_a", "up", "get_a"],
      ["up__drop_1_", "up", "drop[1]"],
    ]);
  });

  it("keeps a definition as it is, but for its name and what config says otherwise", () => {
    const definition = {
      name: "do",
      title: "Do",
      inputSchema: { type: "object", $schema: "x", "x-own": 1 },
      annotations: { readOnlyHint: false, "x-hint": 1 },
      icons: [{ src: "data:," }],
      _meta: { kept: true },
      unknown: { deep: [1] },
    };
    const overrides = new Map([
      ["do", { description: "new", annotations: { readOnlyHint: true } }],
    ]);
    const [tool] = [
      ...buildCatalog([shelf({ tools: [definition], overrides })], names).tools.values(),
    ];
    expect(tool?.definition).toEqual({
      ...definition,
      name: "up__do",
      description: "new",
      annotations: { readOnlyHint: true, "x-hint": 1 },
    });
    expect(tool).toMatchObject({
      effect: "read",
      effectSource: "config annotation readOnlyHint: true",
    });
  });

  it.each([
    [
      "config",
      { effect: "idempotent" as const },
      { readOnlyHint: true },
      true,
      "idempotent",
      "config",
    ],
    ["readOnlyHint", {}, { readOnlyHint: true }, true, "read", "annotation readOnlyHint: true"],
    [
      "idempotentHint",
      {},
      { idempotentHint: true },
      true,
      "idempotent",
      "annotation idempotentHint: true",
    ],
    ["no annotations", {}, undefined, true, "write", "default: no annotations"],
    ["other annotations", {}, { openWorldHint: false }, true, "write", /neither/],
    [
      "an untrusted server",
      {},
      { readOnlyHint: true },
      false,
      "write",
      "default: the server is not trusted",
    ],
    ["a hint that is no boolean", {}, { readOnlyHint: "true" }, true, "write", /neither/],
    [
      "a hint taken back by config",
      { annotations: { readOnlyHint: false } },
      { readOnlyHint: true },
      true,
      "write",
      /neither/,
    ],
  ])("finds the effect from %s", (_, override, annotations, trust, effect, source) => {
    const tools = [{ name: "do", ...(annotations !== undefined && { annotations }) }];
    const [tool] = [
      ...buildCatalog(
        [shelf({ tools, trust, overrides: new Map([["do", override]]) })],
        names,
      ).tools.values(),
    ];
    expect(tool?.effect).toBe(effect);
    if (typeof source === "string") expect(tool?.effectSource).toBe(source);
    else expect(tool?.effectSource).toMatch(source);
  });
});
