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

/** When what a test made goes: when that test ends, or as `afterAll` when the file does. */
type AtEnd = (cleanup: () => unknown) => unknown;

const cleanups: (() => unknown)[] = [];

const whenTestEnds: AtEnd = (cleanup) => cleanups.unshift(cleanup);

/** Does it when the test ends, what was asked for last first. */
export const atTestEnd = (cleanup: () => unknown): unknown => whenTestEnds(cleanup);

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** A folder of its own. */
export function temporaryFolder(atEnd: AtEnd = whenTestEnds): string {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A config file in a folder of its own. */
export function configFile(config: JsonObject, atEnd: AtEnd = whenTestEnds): string {
  const file = join(temporaryFolder(atEnd), "servers.json");
  writeFileSync(file, JSON.stringify(config));
  return file;
}

/** Only `status` of Holdfast's own tools is listed where a config does not say so, so that lists stay short. */
const withFewBuiltins = (config: JsonObject): JsonObject => ({ builtins: ["status"], ...config });

/**
 * A gateway on a config, and a client that holds it, with a state folder of its own where `env` names none.
 * Checked at the end: stdout was JSON-RPC alone.
 */
export function startGateway(
  config: JsonObject | string,
  env: NodeJS.ProcessEnv = {},
  atEnd: AtEnd = whenTestEnds,
): RawClient {
  const file = typeof config === "string" ? config : configFile(withFewBuiltins(config), atEnd);
  const state = env["HOLDFAST_STATE_DIR"] ?? temporaryFolder(atEnd);
  const client = new RawClient(process.execPath, [main, "--config", file], {
    cwd: root,
    env: { ...process.env, ...env, HOLDFAST_STATE_DIR: state },
  });
  atEnd(async () => {
    await client.close();
    expect(client.noise).toEqual([]);
  });
  return client;
}

/** The same for servers alone. */
export const startServers = (mcpServers: JsonObject): RawClient => startGateway({ mcpServers });
