import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Lists, Watcher } from "../../src/call.ts";
import { ListTexts } from "../../src/front/list-texts.ts";
import { ListView } from "../../src/front/list-view.ts";
import { Gateway } from "../../src/gateway.ts";
import { deep, names, shelf, upstream } from "../support/calls.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A gateway over one upstream whose lists a test sets. */
function setUp() {
  let lists: Lists = { tools: [], prompts: [], resources: [], resourceTemplates: [] };
  let watcher: Watcher | undefined;
  const up = upstream({ lists: () => lists, watch: (given) => (watcher = given) });
  const gateway = new Gateway(names);
  gateway.use([{ upstream: up, shelf: shelf("up"), stack: [] }], names);
  const told: string[] = [];
  const problems: string[] = [];
  const texts = new ListTexts(gateway, (problem) => problems.push(problem));
  const view = new ListView(texts, (method) => told.push(method));
  gateway.watch({ changed: () => view.changed(), notified: () => {} });
  const set = (changed: Partial<Lists>): void => {
    lists = { ...lists, ...changed };
    watcher?.changed();
  };
  return { view, told, problems, set };
}

const toolsChanged = "notifications/tools/list_changed";

describe("ListView", () => {
  it("gives the lists as they are now", () => {
    const { view, set } = setUp();
    expect(view.text("tools/list")).toBe('{"tools":[]}');
    set({ tools: [{ name: "a" }], resources: [{ uri: "x:1" }] });
    expect(view.text("tools/list")).toBe('{"tools":[{"name":"up__a"}]}');
    expect(view.text("resources/list")).toBe('{"resources":[{"uri":"x:1"}]}');
  });

  it("tells a change of content of a list that the client has asked for, and of no other", () => {
    const { view, told, set } = setUp();
    view.text("tools/list");
    set({ prompts: [{ name: "p" }] });
    vi.advanceTimersByTime(2000);
    expect(told).toEqual([]);
    set({ tools: [{ name: "a" }] });
    vi.advanceTimersByTime(2000);
    expect(told).toEqual([toolsChanged]);
  });

  it("tells nothing where the content is the same", () => {
    const { view, told, set } = setUp();
    set({ tools: [{ name: "a" }] });
    view.text("tools/list");
    set({ tools: [{ name: "a" }] });
    vi.advanceTimersByTime(2000);
    expect(told).toEqual([]);
  });

  it("tells at most once a second, and the last change in any case", () => {
    const { view, told, set } = setUp();
    view.text("tools/list");
    for (let n = 0; n < 30; n++) {
      set({ tools: [{ name: `a${n}` }] });
      vi.advanceTimersByTime(100);
    }
    vi.advanceTimersByTime(1000);
    expect(told.length).toBeGreaterThanOrEqual(3);
    expect(told.length).toBeLessThanOrEqual(5);
    vi.advanceTimersByTime(5000);
    expect(view.text("tools/list")).toContain("up__a29");
    expect(vi.getTimerCount()).toBe(0);
  });

  it("leaves out what is nested too deep to be written, and tells it once", () => {
    const { view, told, problems, set } = setUp();
    set({ tools: [{ name: "a" }, { name: "deep", inputSchema: deep() }], resources: [deep()] });
    expect(view.text("tools/list")).toBe('{"tools":[{"name":"up__a"}]}');
    expect(view.text("resources/list")).toBe('{"resources":[]}');
    set({ tools: [{ name: "b" }, { name: "deep", inputSchema: deep() }] });
    vi.advanceTimersByTime(2000);
    expect(told).toEqual([toolsChanged]);
    expect(problems).toEqual([
      "up__deep is left out of tools/list of up: it is nested too deep to be written",
    ]);
  });

  it("tells resources and templates as the one thing that they are to clients", () => {
    const { view, told, set } = setUp();
    view.text("resources/list");
    view.text("resources/templates/list");
    set({ resources: [{ uri: "x:1" }], resourceTemplates: [{ uriTemplate: "x:{n}" }] });
    vi.advanceTimersByTime(2000);
    expect(told).toEqual(["notifications/resources/list_changed"]);
  });
});
