import { spawn } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);
const stable = programOf(require.resolve("conformance-stable/package.json"));
const next = programOf(require.resolve("conformance-next/package.json"));

/** The suites' runs: which suite, and what it is told. */
export const suites = [
  { name: "0.1.16", program: stable, args: ["--suite", "all"] },
  {
    name: "2025-11-25",
    program: next,
    args: ["--requirements", "2025-11-25"],
  },
  {
    name: "2026-07-28",
    program: next,
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

/** The names of a suite's client scenarios, those of the run's revision where it has one. */
export async function clientScenarios(node, suite) {
  const { stdout } = await run(node, [suite.program, "list", "--client", ...versionOf(suite)]);
  return [...stdout.matchAll(/^ {2}- (\S+)/gm)].map(([, name]) => name);
}

/** Runs one client scenario with a command as the client. Resolves with its checks; a client that fails is one too. */
export async function runClientScenario(node, suite, scenario, command, folder) {
  await mkdir(folder, { recursive: true });
  const args = ["client", "--command", command, "--scenario", scenario, ...versionOf(suite)];
  const { stdout, stderr, code } = await run(node, [suite.program, ...args, "-o", folder]);
  await writeFile(join(folder, `${scenario.replaceAll("/", "-")}.txt`), stdout + stderr);
  const checks = (await readChecks(folder, /^(.+)-\d{4}-\d\d-\d\dT/)).get(scenario);
  if (code !== 0 && checks?.every(({ status }) => status !== "FAILURE" && status !== "WARNING"))
    checks.push({ id: "client", status: "FAILURE", errorMessage: "the client failed" });
  return checks;
}

function programOf(manifest) {
  return join(dirname(manifest), "dist/index.js");
}

function versionOf({ args: [option, value] }) {
  return option === "--requirements" ? ["--spec-version", value] : [];
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
    child.on("close", (code) => resolve({ ...written, code }));
  });
}
