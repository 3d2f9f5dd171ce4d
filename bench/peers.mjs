// Installs the peers that npm has, each into a folder of its own below bench/peers (ignored by git), without
// their install scripts:
//   npm run bench -- --peers
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { peersFolder, root } from "./rows.mjs";

/** Peers by folder: what is installed, and what of ours runs it, if it is a library. */
const peers = {
  "mcp-hub": { package: "mcp-hub", version: "4.2.1" },
  "mcp-proxy": { package: "mcp-proxy", version: "6.7.19" },
  "mcp-use": { package: "mcp-use", version: "1.34.6", runner: "mcp-use.mjs" },
  "slop-mcp": { package: "@standardbeagle/slop-mcp", version: "0.15.0" },
  "civic-passthrough": {
    package: "@civic/passthrough-mcp-server",
    version: "0.12.1",
    runner: "civic.mjs",
  },
};

export function installPeers() {
  for (const [name, { package: npmName, version, runner }] of Object.entries(peers)) {
    const folder = join(peersFolder, name);
    if (existsSync(folder)) continue;
    process.stderr.write(`installing ${npmName}@${version}\n`);
    const made = `${folder}.new`;
    mkdirSync(made, { recursive: true });
    writeFileSync(join(made, "package.json"), '{ "private": true, "type": "module" }\n');
    execFileSync(
      "npm",
      ["install", "--ignore-scripts", "--save-exact", "--omit=dev", `${npmName}@${version}`],
      { cwd: made, stdio: "inherit" },
    );
    if (runner !== undefined)
      copyFileSync(join(root, "bench/gateways", runner), join(made, runner));
    renameSync(made, folder);
  }
}

/** Versions of the peers that are installed, by folder. */
export const peerVersions = () =>
  Object.fromEntries(
    Object.entries(peers)
      .filter(([name]) => existsSync(join(peersFolder, name)))
      .map(([name, { package: npmName }]) => [
        name,
        JSON.parse(
          readFileSync(join(peersFolder, name, "node_modules", npmName, "package.json"), "utf8"),
        ).version,
      ]),
  );
