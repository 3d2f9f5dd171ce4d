import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { arch, cpus, platform, release, totalmem } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { peerVersions } from "../peers.mjs";
import { root } from "../rows.mjs";

const version = (...path) =>
  JSON.parse(readFileSync(join(root, ...path, "package.json"), "utf8")).version;

/** The commit that is measured, "-dirty" where files are changed; undefined outside a clone. */
function commit() {
  try {
    const options = { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] };
    return execFileSync("git", ["describe", "--always", "--dirty"], options).trim();
  } catch {
    return undefined;
  }
}

/** What figures depend on. */
export const machine = () => ({
  cpu: cpus()[0]?.model.trim(),
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  os: `${platform()} ${release()} ${arch()}`,
});

export const versions = () => ({
  node: process.versions.node,
  holdfast: version(),
  commit: commit(),
  sdk: version("node_modules/@modelcontextprotocol/sdk"),
  ...peerVersions(),
});
