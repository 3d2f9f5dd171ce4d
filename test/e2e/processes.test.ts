import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { configFile, main, odd, startGateway } from "../support/gateway.ts";
import { textOf, type RawClient } from "../support/raw-client.ts";
import {
  alive,
  family,
  kill,
  kinds,
  stubbornClient,
  stubbornServer,
  temporaryFolder,
  until,
  type Family,
} from "../support/stubborn.ts";

let processes: Family;
let stateFolder: string;
beforeEach(() => {
  processes = family();
  stateFolder = temporaryFolder();
});

/** A server behind a launcher, as npx is one, which goes only when it is killed, as do three children of it. */
const stubborn = (members: Family): JsonObject => {
  const { command, args } = odd({ tools: "echo,never,crash" }) as {
    command: string;
    args: string[];
  };
  return {
    command: process.execPath,
    args: [stubbornServer, `--children=${kinds.join(",")}`, "--", command, ...args],
    env: { STUBBORN_FOLDER: members.env["STUBBORN_FOLDER"] ?? "" },
  };
};

const config = (members = processes): JsonObject => ({
  mcpServers: { one: stubborn(members), two: odd({ tools: "pid" }) },
});

const state = (): NodeJS.ProcessEnv => ({ HOLDFAST_STATE_DIR: stateFolder });

/** A gateway whose servers all run. Resolves with its client and the pids of all that it has started. */
async function serving(
  settings: JsonObject | string = config(),
  members = processes,
): Promise<{ client: RawClient; pids: number[] }> {
  const client = startGateway(settings, state());
  await client.initialize();
  await client.tools();
  const pid = Number(textOf(await client.call("two__pid")));
  expect(textOf(await client.call("one__echo"))).toBe("{}");
  return { client, pids: [...(await members.ready(1 + kinds.length)), pid] };
}

const gone = (pids: readonly number[]): Promise<void> =>
  until(`none of ${pids.join(", ")} is there`, () => !pids.some(alive));

describe("the gateway leaves with code 0 and takes all that its servers have started", () => {
  it("when its client's end of stdin is closed", async () => {
    const { client, pids } = await serving();
    expect(await client.close()).toBe(0);
    expect(pids.filter(alive)).toEqual([]);
  });

  it.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("on %s", async (signal) => {
    const { client, pids } = await serving();
    client.child.kill(signal);
    expect(await client.exited).toBe(0);
    expect(pids.filter(alive)).toEqual([]);
  });

  it.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "on %s before it is ready, with another code",
    async (signal) => {
      const slow = join(stateFolder, "slow.mjs");
      writeFileSync(slow, "await new Promise((resolve) => setTimeout(resolve, 60_000));");
      const client = startGateway({ ...config(), middleware: [slow] }, state());
      const pids = await processes.ready(1 + kinds.length);
      client.child.kill(signal);
      expect(await client.exited).toBeGreaterThan(128);
      expect(pids.filter(alive)).toEqual([]);
    },
  );

  it("when a client that does not read closes its end of stdin", async () => {
    const client = startGateway({ mcpServers: { odd: odd({ tools: "large" }) } }, state());
    await client.initialize();
    await client.tools();
    client.child.stdout?.pause();
    for (let n = 0; n < 5; n++) void client.call("odd__large", { bytes: 3 << 20 });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    client.child.stdin?.end();
    const [code] = (await once(client.child, "exit")) as [number];
    expect(code).toBe(0);
    client.child.stdout?.resume();
  }, 20_000);

  it("in the middle of a call", async () => {
    const { client, pids } = await serving();
    void client.request("tools/call", { name: "one__never", arguments: {} });
    expect(await client.close()).toBe(0);
    expect(pids.filter(alive)).toEqual([]);
  });

  it("when a server has just crashed", async () => {
    const { client } = await serving();
    await client.call("one__crash");
    expect(await client.close()).toBe(0);
    expect(processes.pids().filter(alive)).toEqual([]);
  });

  it("when servers are still starting", async () => {
    const client = startGateway(
      { mcpServers: { one: { ...odd({ start: "hang" }) }, two: stubborn(processes) } },
      state(),
    );
    await client.initialize();
    const pids = await processes.ready(1 + kinds.length);
    expect(await client.close()).toBe(0);
    expect(pids.filter(alive)).toEqual([]);
  });
});

describe("a client that is killed", () => {
  it("leaves neither the gateway nor anything of its servers", async () => {
    const client = spawn(
      process.execPath,
      [stubbornClient, process.execPath, main, "--config", configFile(config())],
      { env: { ...process.env, ...state() }, stdio: ["ignore", "pipe", "inherit"] },
    );
    const [said] = (await once(client.stdout, "data")) as [Buffer];
    const pids = [Number(String(said)), ...(await processes.ready(1 + kinds.length))];
    expect(pids.every(alive)).toBe(true);
    kill(client.pid);
    await gone(pids);
  });
});

describe("a server that crashes", () => {
  it("leaves nothing behind, while the gateway goes on with a new one", async () => {
    const { client, pids } = await serving();
    const other = pids.pop();
    await client.call("one__crash");
    await gone(pids);
    await processes.ready(2 * (1 + kinds.length));
    expect(textOf(await client.call("one__echo"))).toBe("{}");
    expect(textOf(await client.call("two__pid"))).toBe(String(other));
  });
});

describe("a gateway that is killed", () => {
  it("leaves servers behind, which the next one on the same state folder ends", async () => {
    const { client, pids } = await serving();
    kill(client.child.pid);
    await client.exited;
    const next = family();
    await serving(config(next), next);
    await gone(pids);
    expect(next.pids().filter(alive)).toHaveLength(1 + kinds.length);
  });
});

describe("two gateways on one config and one state folder", () => {
  it("leave each other's servers alone, and end what is left of the one that is killed", async () => {
    const file = configFile(config());
    const first = await serving(file);
    const second = await serving(file);
    const both = await processes.ready(2 * (1 + kinds.length));
    expect(both.every(alive)).toBe(true);
    expect(textOf(await first.client.call("one__echo"))).toBe("{}");

    kill(first.client.child.pid);
    await first.client.exited;
    const third = family();
    await serving(config(third), third);
    await gone(first.pids);
    const kept = both.filter((pid) => !first.pids.includes(pid));
    expect(kept.filter(alive)).toHaveLength(1 + kinds.length);
    expect(textOf(await second.client.call("one__echo"))).toBe("{}");
    expect(await second.client.close()).toBe(0);
    expect(both.filter(alive)).toEqual([]);
  });
});

describe("a command that is ended by a signal", () => {
  it.each<[NodeJS.Signals, number, string[]]>([
    ["SIGINT", 130, ["check"]],
    ["SIGTERM", 143, ["tools"]],
    ["SIGHUP", 129, ["call", "one__never"]],
    ["SIGINT", 130, ["call", "one__never"]],
    ["SIGTERM", 143, ["explain", "one__nothing"]],
    ["SIGINT", 130, ["demo"]],
  ])("%s leaves with code %i and takes its servers: %j", async (signal, code, args) => {
    const file = configFile({
      mcpServers: { one: stubborn(processes), two: odd({ start: "hang" }) },
    });
    const child = spawn(process.execPath, [main, ...args, "--config", file], {
      env: { ...process.env, ...state() },
    });
    await processes.ready(1 + kinds.length);
    child.kill(signal);
    expect(await once(child, "exit")).toEqual([code, null]);
    expect(processes.pids().filter(alive)).toEqual([]);
    expect(child.stderr.read()).toBeNull();
  });
});
