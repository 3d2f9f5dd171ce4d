import { spawn } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);
const program = (name) => join(dirname(require.resolve(`${name}/package.json`)), "dist/index.js");

/** The suites' runs: which suite, and what it is told. */
export const suites = [
  { name: "0.1.16", program: program("conformance-stable"), args: ["--suite", "all"] },
  {
    name: "2025-11-25",
    program: program("conformance-next"),
    args: ["--requirements", "2025-11-25"],
  },
  {
    name: "2026-07-28",
    program: program("conformance-next"),
    args: ["--requirements", "2026-07-28"],
  },
];

/** The path of a Node that the suites run on: this one, or one that npm brings. */
export async function suiteNode() {
  if (Number(process.versions.node.split(".")[0]) >= 22) return process.execPath;
  const { stdout } = await run("npx", ["-y", "node@22", "-p", "process.execPath"]);
  return stdout.trim();
}

/**
 * Runs a suite's server scenarios against a URL, in one process. Resolves with the checks of each scenario, by its name;
 * keeps what the suite wrote in `folder`.
 */
export async function runServerSuite(node, suite, url, folder) {
  await mkdir(folder, { recursive: true });
  const args = [suite.program, "server", "--url", url, ...suite.args, "-o", folder];
  const { stdout, stderr } = await run(node, args);
  await writeFile(join(folder, "output.txt"), stdout + stderr);
  return await readChecks(folder, /^server-(.+)-\d{4}-\d\d-\d\dT/);
}

/** Runs one client scenario with a command as the client. Resolves with its checks, or undefined where it has none. */
export async function runClientScenario(node, suite, scenario, command, folder) {
  await mkdir(folder, { recursive: true });
  const version = suite.args[0] === "--requirements" ? ["--spec-version", suite.args[1]] : [];
  const args = ["client", "--command", command, "--scenario", scenario, ...version, "-o", folder];
  const { stdout, stderr } = await run(node, [suite.program, ...args]);
  await writeFile(join(folder, `${scenario.replaceAll("/", "-")}.txt`), stdout + stderr);
  return (await readChecks(folder, /^(.+)-\d{4}-\d\d-\d\dT/)).get(scenario);
}

/** The names of a suite's client scenarios, of the revision where the run is of one. */
export async function clientScenarios(node, suite) {
  const version = suite.args[0] === "--requirements" ? ["--spec-version", suite.args[1]] : [];
  const { stdout } = await run(node, [suite.program, "list", "--client", ...version]);
  return [...stdout.matchAll(/^ {2}- (\S+)/gm)].map(([, name]) => name);
}

async function readChecks(folder, pattern) {
  const found = new Map();
  const paths = await readdir(folder, { recursive: true });
  const byTime = (a, b) => (timeIn(a) < timeIn(b) ? -1 : 1);
  for (const path of paths.filter((name) => name.endsWith("checks.json")).toSorted(byTime)) {
    const scenario = pattern.exec(dirname(path))?.[1];
    if (scenario === undefined) continue;
    found.set(scenario, JSON.parse(await readFile(join(folder, path), "utf8")));
  }
  return found;
}

/** The end of a result's folder says when it began. */
function timeIn(path) {
  return /\d{4}-\d\d-\d\dT[\d-]+/.exec(path)?.[0] ?? "";
}

/** Runs a program to its end. Resolves with what it wrote. */
function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    const written = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"])
      child[name].setEncoding("utf8").on("data", (text) => (written[name] += text));
    child.on("error", reject);
    child.on("close", () => resolve(written));
  });
}
