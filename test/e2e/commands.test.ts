import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { sleep } from "../../src/time.ts";
import { holdfast } from "../support/command.ts";
import { configFile, main, odd, startGateway, temporaryFolder } from "../support/gateway.ts";
import { textOf } from "../support/raw-client.ts";

const on = (mcpServers: JsonObject, ...args: string[]): ReturnType<typeof holdfast> =>
  holdfast([...args, "--config", configFile({ mcpServers })]);

describe("holdfast check", () => {
  it("tells state, time, version and tools of every server, and ends with 0 when all are well", () => {
    const { code, out } = on(
      { odd: odd({ tools: "echo,pid" }), off: { ...odd(), disabled: true } },
      "check",
    );
    expect(out).toMatch(/^odd +ready +\d+ ms +2 +odd 1\.0\.0$/m);
    expect(out).toMatch(/^off +disabled/m);
    expect(code).toBe(0);
  });

  it("names what is broken and why, and ends with 1", () => {
    const { code, out } = on(
      { good: odd({ tools: "no_schema" }), gone: { command: "no-such-command-anywhere" } },
      "check",
    );
    expect(out).toMatch(/^gone +broken/m);
    expect(out).toMatch(/^! gone: .*"no-such-command-anywhere" was not found/m);
    expect(out).toMatch(/^! good: tool no_schema: its inputSchema was replaced/m);
    expect(code).toBe(1);
  });

  it("tells programs the same", () => {
    const { out } = on(
      { odd: odd({ tools: "echo" }), bad: odd({ start: "exit" }) },
      "check",
      "--json",
    );
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      servers: [
        { name: "odd", state: "ready", tools: 1, info: { name: "odd", version: "1.0.0" } },
        {
          name: "bad",
          // The next try may have begun.
          state: expect.stringMatching(/^(?:lost|connecting)$/) as string,
          problem: expect.stringContaining("flux capacitor") as string,
        },
      ],
    });
  });
});

describe("holdfast tools, explain and call", () => {
  it("list every tool with its effect", () => {
    const { code, out } = on({ odd: odd({ tools: "echo,decorated" }) }, "tools");
    expect(out).toMatch(/^odd__echo +write/m);
    expect(out).toMatch(/^odd__decorated +read/m);
    expect(code).toBe(0);
    const listed = JSON.parse(
      on({ odd: odd({ tools: "echo" }) }, "tools", "--json").out,
    ) as JsonObject[];
    expect(listed).toContainEqual(
      expect.objectContaining({ name: "odd__echo", server: "odd", tool: "echo", effect: "write" }),
    );
  });

  it("explain a tool: its effect, where that comes from, and the policies that result", () => {
    const servers = { odd: { ...odd({ tools: "decorated,echo" }), policies: { hedge: false } } };
    const { code, out } = on(servers, "explain", "odd__decorated");
    expect(out).toContain("read (annotation readOnlyHint: true)");
    expect(out).toMatch(/^timeout +attemptMs 30000, totalMs 60000/m);
    expect(out).toMatch(/^retry +maxAttempts 3/m);
    expect(out).toMatch(/^coalesce +enabled true/m);
    expect(out).toMatch(/^hedge +off/m);
    expect(code).toBe(0);
    const write = JSON.parse(on(servers, "explain", "odd__echo", "--json").out) as JsonObject;
    expect(write).toMatchObject({ effect: "write", policies: { coalesce: false, cache: false } });
  });

  it("call a tool, and end with 1 where it says no", () => {
    const servers = { odd: odd({ tools: "echo,odd_content,rpc_error" }) };
    expect(on(servers, "call", "odd__echo", '{"a":1}')).toMatchObject({
      code: 0,
      out: '{"a":1}\n',
    });
    expect(on(servers, "call", "odd__odd_content").code).toBe(1);
    expect(on(servers, "call", "odd__rpc_error")).toMatchObject({
      code: 1,
      out: "error -32099: MCP error -1: kept as it is\n",
    });
  });

  it("wait for no other server than the tool's, unless it may want the name", () => {
    // Who waits for it waits for longer than a test may take.
    const hanging = { ...odd({ start: "hang" }), startTimeoutMs: 120_000 };
    const other = { hanging, odd: odd({ tools: "decorated" }) };
    expect(on(other, "call", "odd__decorated")).toMatchObject({ code: 0, out: "decorated\n" });
    expect(on(other, "explain", "odd__decorated").code).toBe(0);
    const both = {
      late: { ...odd({ tools: "echo,pid", "start-delay": 1000 }), prefix: "" },
      early: { ...odd({ tools: "echo" }), prefix: "" },
    };
    const { out } = on(both, "explain", "echo", "--json");
    expect(JSON.parse(out)).toMatchObject({ server: "late" });
  });

  it("tell the nearest names of a tool that is not there, and what is wrong with arguments", () => {
    const servers = { odd: odd({ tools: "echo" }) };
    expect(on(servers, "call", "odd__ecko")).toMatchObject({
      code: 2,
      err: expect.stringContaining("the nearest are odd__echo") as string,
    });
    expect(on(servers, "call", "odd__echo", "[1]")).toMatchObject({ code: 2 });
    expect(on(servers, "call", "odd__echo", "{a")).toMatchObject({ code: 2 });
    expect(on(servers, "call")).toMatchObject({ code: 2 });
  });
});

describe("what a command prints", () => {
  const callLarge = () => {
    const file = configFile({ mcpServers: { odd: odd({ tools: "large" }) } });
    const args = ["odd__large", JSON.stringify({ bytes: 900_000 }), "--config", file];
    return spawn(process.execPath, [main, "call", ...args]);
  };

  it("is whole, however late it is read", async () => {
    const child = callLarge();
    const ended = once(child, "close");
    await Promise.race([once(child, "exit"), sleep(1500)]);
    let length = 0;
    child.stdout.on("data", (chunk: Buffer) => (length += chunk.length));
    expect(await ended).toEqual([0, null]);
    expect(length).toBe(900_001);
  });

  it("may be left unread", async () => {
    const child = callLarge();
    child.stdout.destroy();
    const [code] = await once(child, "close");
    expect(code).toBe(0);
    expect(child.stderr.read()).toBeNull();
  });
});

describe("holdfast serve", () => {
  it("lets a client that leaves read its answers to the end", async () => {
    const client = startGateway({ mcpServers: { odd: odd({ tools: "large" }) } });
    await client.initialize();
    await client.tools();
    client.child.stdout?.pause();
    const answer = client.call("odd__large", { bytes: 3_000_000 });
    client.child.stdin?.end();
    await Promise.race([once(client.child, "exit"), sleep(800)]);
    client.child.stdout?.resume();
    expect(textOf(await answer)).toHaveLength(3_000_000);
  });
});

describe("the command line", () => {
  it("tells what is wrong with config, by file, place and key, and ends with 2", () => {
    const file = configFile({
      mcpServers: { odd: { ...odd(), startTimeoutMs: "30s" } },
      polices: {},
    });
    const { code, err, out } = holdfast(["serve", "--config", file]);
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toContain(file);
    expect(err).toContain("mcpServers.odd.startTimeoutMs");
    expect(err).toContain('did you mean "policies"?');
  });

  it("says where it looked when there is no config", () => {
    const cwd = mkdtempSync(join(tmpdir(), "holdfast-"));
    const { code, err } = holdfast(["check"], {
      cwd,
      env: { XDG_CONFIG_HOME: cwd, HOLDFAST_CONFIG: "" },
    });
    expect(code).toBe(2);
    expect(err).toContain("servers.json");
  });

  it("knows --help and --version, and refuses what it does not know", () => {
    expect(holdfast(["--help"]).out).toContain("holdfast check");
    expect(holdfast(["--version"]).out).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(holdfast(["--nope"]).code).toBe(2);
    expect(holdfast(["chek"]).code).toBe(2);
    expect(holdfast(["check", "more"]).code).toBe(2);
  });

  it("runs the demo: a real client lists and calls, and leaves", () => {
    const { code, out } = holdfast(["demo"]);
    expect(out).toMatch(/^tools\/list +\d+ tools/m);
    expect(out).toContain("The sum of 2 and 40 is 42.");
    expect(out).toContain("4 progress notes");
    expect(out).toMatch(/^ {2}Ada orders 3 apples +completed +1\.5 USD, shipped, and told so/m);
    expect(out).toMatch(
      /^ {2}Bob orders 1 melon +compensated +out of stock: melon; undone: order, payment/m,
    );
    expect(out).toMatch(/^ {2}A chain reports +completed +1 shipped, 1 cancelled, out of melon/m);
    expect(out).toMatch(/^ {2}Cy orders 2 apples +killed/m);
    expect(out).toMatch(/^ {2}Holdfast starts again +completed/m);
    expect(out).toMatch(/^ {2}Ada +create, ship +charge +reserve +send$/m);
    expect(out).toMatch(/^ {2}Bob +create, cancel +charge, refund +- +-$/m);
    expect(out).toMatch(/^ {2}Cy +create, ship +charge +reserve +send$/m);
    expect(out).not.toMatch(/^!/m);
    expect(out.split("\n").length).toBeLessThan(40);
    expect(code).toBe(0);
  });

  it("runs the demo where there is no config, and leaves nothing behind when a signal ends it", async () => {
    const folder = temporaryFolder();
    const child = spawn(process.execPath, [main, "demo"], {
      cwd: folder,
      env: { ...process.env, TMPDIR: folder, TEMP: folder, XDG_CONFIG_HOME: folder },
    });
    const closed = once(child, "close");
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += String(chunk);
      if (out.includes("Bob orders")) child.kill("SIGINT");
    });
    expect(await closed).toEqual([130, null]);
    expect(out).toMatch(/^A saga, place_order/);
    expect(readdirSync(folder)).toEqual([]);
  });
});
