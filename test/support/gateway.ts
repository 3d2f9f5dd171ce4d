import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { RawClient } from "./raw-client.ts";

export const root = fileURLToPath(new URL("../..", import.meta.url));
export const main = join(root, "dist/main.js");
const oddServer = join(root, "test/support/odd-server.mjs");

/** The config of our misbehaving server, with its options. */
export const odd = (options: Record<string, string | number> = {}): JsonObject => ({
  command: process.execPath,
  args: [oddServer, ...Object.entries(options).map(([name, value]) => `--${name}=${value}`)],
});

/** A config file in a folder of its own, which goes when the test ends. */
export function configFile(config: JsonObject): string {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "servers.json");
  writeFileSync(file, JSON.stringify(config));
  return file;
}

/** A gateway on a config, and a client that holds it. Checked at the test's end: stdout was JSON-RPC alone. */
export function startGateway(config: JsonObject | string, env: NodeJS.ProcessEnv = {}): RawClient {
  const file = typeof config === "string" ? config : configFile(config);
  const client = new RawClient(process.execPath, [main, "--config", file], {
    cwd: root,
    env: { ...process.env, ...env },
  });
  cleanups.unshift(async () => {
    await client.close();
    expect(client.noise).toEqual([]);
  });
  return client;
}

/** The same for servers alone. */
export const startServers = (mcpServers: JsonObject): RawClient => startGateway({ mcpServers });

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});
