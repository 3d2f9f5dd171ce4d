import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import {
  configFile,
  odd,
  startGateway,
  startServers,
  temporaryFolder,
} from "../support/gateway.ts";
import { textOf, type RawClient } from "../support/raw-client.ts";

const namesOf = async (client: RawClient): Promise<unknown[]> =>
  (await client.tools()).map(({ name }) => name);
const failureOf = (result: JsonObject): unknown =>
  (result["_meta"] as JsonObject | undefined)?.["holdfast/failure"];
const stateOf = async (client: RawClient, name: string): Promise<JsonObject | undefined> => {
  const { structuredContent } = await client.call("holdfast__status");
  const { upstreams } = structuredContent as { upstreams: JsonObject[] };
  return upstreams.find((upstream) => upstream["name"] === name);
};
/** Asks again until it is so; the test's own time limit ends it. */
async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 30));
}

describe("a server that exits in the middle of a call", () => {
  it("has that told, comes back, and is listed and called as before", async () => {
    const client = startServers({ odd: odd({ tools: "echo,crash,never,pid" }) });
    await client.initialize();
    const before = await namesOf(client);
    const pid = textOf(await client.call("odd__pid"));
    const [crashed, other] = await Promise.all([
      client.call("odd__crash"),
      client.call("odd__never"),
    ]);
    for (const result of [crashed, other]) {
      expect(result).toMatchObject({ isError: true });
      expect(failureOf(result)).toMatchObject({ code: "connection_lost", outcome: "unknown" });
      expect(textOf(result)).toContain("exited with code 7");
    }
    expect(textOf(await client.call("odd__echo", { back: true }))).toBe('{"back":true}');
    expect(textOf(await client.call("odd__pid"))).not.toBe(pid);
    expect(await namesOf(client)).toEqual(before);
    expect(await stateOf(client, "odd")).toMatchObject({ state: "ready", losses: 1 });
    expect(
      client.messages.filter(({ method }) => method === "notifications/tools/list_changed"),
    ).toEqual([]);
  });
});

describe("a server in a crash loop", () => {
  it("is slowed and reported, and calls are refused with the time of the next try", async () => {
    const client = startServers({ odd: odd({ start: "exit" }), good: odd({ tools: "echo" }) });
    await client.initialize();
    await eventually(async () => Number((await stateOf(client, "odd"))?.["nextTryMs"]) > 1000);
    const result = await client.call("odd__echo");
    expect(failureOf(result)).toMatchObject({
      code: "unavailable",
      outcome: "failed",
      retryAfterMs: expect.any(Number) as number,
    });
    expect(textOf(result)).toContain("flux capacitor");
    expect(textOf(result)).toMatch(/Nothing was done\. Try again in \d+ s\./);
    await client.until(() => client.stderr.includes("5 times in a row"));
    expect(textOf(await client.call("good__echo"))).toBe("{}");
  });
});

describe("a server that says too much", () => {
  it("on stderr is drained, and answers", async () => {
    const client = startServers({ odd: odd({ tools: "flood" }) });
    await client.initialize();
    await client.tools();
    expect(textOf(await client.call("odd__flood", { lines: 5000 }))).toBe("flooded");
  });

  it("in one answer of 20 MiB is passed on whole", async () => {
    const client = startServers({ odd: odd({ tools: "large" }) });
    await client.initialize();
    await client.tools();
    const text = textOf(await client.call("odd__large", { bytes: 20 << 20 }));
    expect(text).toHaveLength(20 << 20);
  });

  it("to a client that does not read keeps the gateway small, and each call is answered once", async () => {
    const client = startServers({ odd: odd({ tools: "large" }) });
    await client.initialize();
    await client.tools();
    client.child.stdout?.pause();
    const calls = Array.from({ length: 300 }, () => client.call("odd__large", { bytes: 1 << 20 }));
    const memory = (): number => {
      const status = readFileSync(`/proc/${client.child.pid}/status`, "utf8");
      return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
    };
    // It has stopped reading when its memory has stopped growing.
    let last = 0;
    await eventually(async () => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      const steady = Math.abs(memory() - last) < 1;
      last = memory();
      return steady;
    });
    expect(last).toBeLessThan(250);
    client.child.stdout?.resume();
    for (const result of await Promise.all(calls)) expect(textOf(result)).toHaveLength(1 << 20);
    const ids = client.messages.map(({ id }) => id).filter((id) => id !== undefined);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe("a server that stops reading", () => {
  it("is sent no more than 64 MiB, then calls are refused at once", async () => {
    const client = startGateway({
      policies: { timeout: { attemptMs: 1000 }, circuitBreaker: false },
      mcpServers: { odd: odd({ tools: "deaf,echo" }), good: odd({ tools: "echo" }) },
    });
    await client.initialize();
    await client.tools();
    await client.call("odd__deaf");
    const big = "x".repeat(4 << 20);
    const calls = Array.from({ length: 24 }, () => client.call("odd__echo", { big }));
    const codes = (await Promise.all(calls)).map(
      (result) => (failureOf(result) as { code: string; outcome: string }).code,
    );
    expect(new Set(codes)).toEqual(new Set(["timeout", "overloaded"]));
    expect(codes.filter((code) => code === "timeout").length).toBeLessThanOrEqual(18);
    expect(failureOf(await client.call("odd__echo"))).toMatchObject({
      code: "overloaded",
      outcome: "failed",
    });
    expect(textOf(await client.call("good__echo"))).toBe("{}");
  });
});

describe("a server that is stopped when idle", () => {
  it("stays listed, and is started by the next call", async () => {
    const client = startServers({ odd: { ...odd({ tools: "echo" }), idleStopMs: 200 } });
    await client.initialize();
    const before = await namesOf(client);
    await eventually(async () => (await stateOf(client, "odd"))?.["state"] === "idle");
    expect(await namesOf(client)).toEqual(before);
    expect(textOf(await client.call("odd__echo", { a: 1 }))).toBe('{"a":1}');
  });
});

describe("a gateway that was there before", () => {
  it("lists what a slow server had, before it is up, and a call made meanwhile succeeds", async () => {
    const file = configFile({ mcpServers: { odd: odd({ tools: "echo", "start-delay": 2000 }) } });
    const env = { HOLDFAST_STATE_DIR: temporaryFolder() };
    const first = startGateway(file, env);
    await first.initialize();
    await eventually(async () => (await stateOf(first, "odd"))?.["state"] === "ready");
    const before = await first.tools();
    await first.close();

    const second = startGateway(file, env);
    await second.initialize();
    expect(await second.tools()).toEqual(before);
    expect(await stateOf(second, "odd")).toMatchObject({ state: "connecting", tools: 1 });
    expect(textOf(await second.call("odd__echo", { early: true }))).toBe('{"early":true}');
  });

  it("starts without what it cannot read", async () => {
    const state = temporaryFolder();
    writeFileSync(`${state}/manifests`, "this is no folder");
    const client = startGateway(
      { mcpServers: { odd: odd({ tools: "echo" }) } },
      { HOLDFAST_STATE_DIR: state },
    );
    await client.initialize();
    expect(await namesOf(client)).toContain("odd__echo");
    await client.until(() => client.stderr.includes("cannot be written"));
  });
});

describe("a config file that changes", () => {
  const changed = (client: RawClient) => () =>
    client.messages.some(({ method }) => method === "notifications/tools/list_changed");

  it("is taken over: only what changed is touched, and the client is told", async () => {
    const [stays, goes, comes] = [
      odd({ tools: "pid" }),
      odd({ tools: "pid" }),
      odd({ tools: "pid" }),
    ];
    const file = configFile({ mcpServers: { stays, goes } });
    const client = startGateway(file);
    await client.initialize();
    await client.tools();
    const pid = textOf(await client.call("stays__pid"));
    writeFileSync(
      file,
      JSON.stringify({
        builtins: ["status"],
        mcpServers: { stays: { ...stays, prefix: "s" }, comes },
      }),
    );
    await client.until(changed(client));
    await eventually(async () => (await namesOf(client)).includes("comes__pid"));
    expect(await namesOf(client)).toEqual(["holdfast__status", "s__pid", "comes__pid"]);
    expect(textOf(await client.call("s__pid"))).toBe(pid);
  });

  it("keeps a changed server listed while it starts anew, and calls that wait for it go to the new one", async () => {
    const server = (delay: number) => ({
      mcpServers: { odd: odd({ tools: "echo", "start-delay": delay }) },
    });
    const file = configFile(server(60_000));
    const client = startGateway(file);
    await client.initialize();
    const waiting = client.call("odd__echo", { a: 1 });
    await client.tools();
    writeFileSync(file, JSON.stringify(server(10)));
    expect(textOf(await waiting)).toBe('{"a":1}');
    const before = await client.tools();
    writeFileSync(file, JSON.stringify(server(2000)));
    await eventually(async () => (await stateOf(client, "odd"))?.["state"] === "connecting");
    expect(await client.tools()).toEqual(before);
    expect(textOf(await client.call("odd__echo", { b: 2 }))).toBe('{"b":2}');
  });

  it("lets calls under way on a server that goes come to their end", async () => {
    const server = odd({ tools: "sleep" });
    const file = configFile({ mcpServers: { odd: server } });
    const client = startGateway(file);
    await client.initialize();
    await client.tools();
    const slow = client.call("odd__sleep", { ms: 3000 });
    writeFileSync(file, JSON.stringify({ builtins: ["status"], mcpServers: {} }));
    await client.until(changed(client));
    expect(await namesOf(client)).toEqual(["holdfast__status"]);
    expect(textOf(await slow)).toBe("slept");
  });

  it("and is broken is told with its place, and the one before stays", async () => {
    const file = configFile({ mcpServers: { odd: odd({ tools: "pid" }) } });
    const client = startGateway(file);
    await client.initialize();
    const before = await namesOf(client);
    const pid = textOf(await client.call("odd__pid"));
    writeFileSync(file, '{ "mcpServers": { "odd": 3 } }');
    await client.until(() => client.stderr.includes("the one before stays"));
    expect(client.stderr).toContain(file);
    expect(await namesOf(client)).toEqual(before);
    expect(textOf(await client.call("odd__pid"))).toBe(pid);
  });
});
