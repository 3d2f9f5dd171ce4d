import { expect, it } from "vitest";
import { Routes } from "../../src/front/routes.ts";
import { Gateway } from "../../src/gateway.ts";
import { noLists } from "../../src/upstream/fetch-lists.ts";
import { names, shelf, upstream } from "../support/calls.ts";

it("asks every server for a resource that none lists, but only when all that can be are known", () => {
  const gateway = new Gateway(names);
  const entry = (name: string, resources: readonly { uri: string }[]) => ({
    upstream: upstream({ name, can: () => true, lists: () => ({ ...noLists, resources }) }),
    shelf: shelf(name),
    stack: [],
  });
  gateway.use([entry("one", [{ uri: "x:1" }]), entry("two", [])], names);
  const routes = new Routes(gateway);
  const read = (uri: string, late: boolean) => routes.find("resources/read", { uri }, late);
  expect(read("x:1", false)).toEqual([{ upstream: "one", params: { uri: "x:1" } }]);
  expect(read("x:2", false)).toMatchObject({ code: -32002 });
  expect(read("x:2", true)).toMatchObject([{ upstream: "one" }, { upstream: "two" }]);
});
