import { describe, expect, it } from "vitest";
import type { ToolDefinition } from "../src/call.ts";
import { Gateway } from "../src/gateway.ts";
import { noLists } from "../src/upstream/fetch-lists.ts";
import { names, shelf, upstream } from "./support/calls.ts";

/** A gateway over servers by prefix: what each lists, or undefined where that is not known yet. */
function setUp(servers: Record<string, string[] | undefined>): Gateway {
  const gateway = new Gateway(names);
  const entries = Object.entries(servers).map(([prefix, tools]) => ({
    upstream: upstream({
      name: `server ${prefix}`,
      can: () => tools !== undefined,
      lists: () => ({ ...noLists, tools: (tools ?? []).map((name) => ({ name })) }),
    }),
    shelf: shelf(prefix),
    stack: [],
  }));
  gateway.use(entries, names);
  return gateway;
}

const find = (gateway: Gateway, name: string, late = false): string | undefined => {
  const tool = gateway.findTool(name, late);
  return tool && `${tool.remoteName} of ${tool.upstream}`;
};

describe("a tool that is not listed", () => {
  it("belongs to the server whose prefix fits best", () => {
    const gateway = setUp({ a: ["x"], a__b: ["z"], a__b__: [] });
    expect(find(gateway, "a__x")).toBe("x of server a");
    expect(find(gateway, "a__y")).toBe("y of server a");
    expect(find(gateway, "a__b__y")).toBe("y of server a__b");
    expect(find(gateway, "c__y")).toBeUndefined();
    expect(find(gateway, "a__")).toBeUndefined();
  });

  it("is not guessed while it is not known what its server lists, unless it is late", () => {
    const gateway = setUp({ a: ["b__x"], a__b: undefined });
    expect(find(gateway, "a__b__x")).toBe("b__x of server a");
    expect(find(gateway, "a__b__y")).toBeUndefined();
    expect(find(gateway, "a__b__y", true)).toBe("y of server a__b");
  });
});

describe("a name without a prefix", () => {
  const app = { name: "show", _meta: { ui: { resourceUri: "ui://x" } } };
  const gatewayOf = (tools: readonly ToolDefinition[]): Gateway => {
    const gateway = new Gateway(names);
    const lists = { ...noLists, tools };
    gateway.use(
      [{ upstream: upstream({ lists: () => lists }), shelf: shelf("up"), stack: [] }],
      names,
    );
    return gateway;
  };

  it("is found where a server's own user interface may call it, and nowhere else", () => {
    expect(find(gatewayOf([app, { name: "next" }]), "next")).toBe("next of up");
    expect(find(gatewayOf([{ name: "next" }]), "next")).toBeUndefined();
  });
});
