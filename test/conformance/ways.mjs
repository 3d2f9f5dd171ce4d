import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startBridge } from "./bridge.mjs";

const fixture = fileURLToPath(new URL("fixture.mjs", import.meta.url));

/** Holdfast's own program, as it was built. */
export const holdfast = fileURLToPath(new URL("../../dist/main.js", import.meta.url));

/** The ways to the fixture: each starts what it needs, and resolves with a URL and what ends it. */
export const ways = {
  direct: () => startFixture(),
  http: async (folder) => {
    const upstream = await startFixture();
    const port = await freePort();
    const http = { host: "127.0.0.1", port };
    const gateway = await configure(folder, { url: upstream.url, prefix: "" }, { http });
    const child = start([holdfast, "serve", "--http", "--config", gateway.config], gateway.env);
    const url = `http://127.0.0.1:${port}/mcp`;
    await answering(url, child);
    return { url, close: () => Promise.all([end(child), upstream.close()]) };
  },
  stdio: async (folder) => {
    const server = { command: process.execPath, args: [fixture], prefix: "" };
    const { config, env } = await configure(folder, server, {});
    return await startBridge(process.execPath, [holdfast, "--config", config], env);
  },
};

async function startFixture() {
  const child = start([fixture, "--http"], process.env);
  const [line] = await once(child.stdout, "data");
  return { url: `http://127.0.0.1:${Number(line)}/mcp`, close: () => end(child) };
}

/** Writes a config with one server and no tools of Holdfast's own. Resolves with its path and an environment for it. */
export async function configure(folder, server, more) {
  await mkdir(folder, { recursive: true });
  const config = join(folder, "servers.json");
  const content = {
    mcpServers: { up: server },
    builtins: [],
    log: { level: "error" },
    ...more,
  };
  await writeFile(config, JSON.stringify(content, undefined, 2));
  return { config, env: { ...process.env, HOLDFAST_STATE_DIR: join(folder, "state") } };
}

function start(args, env) {
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  process.once("exit", () => child.kill());
  return child;
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  await gone;
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Waits until something answers at a URL. Throws when its process ends before. */
async function answering(url, child) {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`holdfast ended with ${child.exitCode}`);
    try {
      await fetch(url);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
