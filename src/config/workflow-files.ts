/*
 * Chains and sagas in files of their own.
 */
import { readdir } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import type { z } from "zod";
import { checkedChain, checkedSaga } from "../workflows/checked.ts";
import type { Workflow } from "../workflows/workflows.ts";
import { isMissing, readText, whyUnreadable } from "./files.ts";
import { isObject } from "./json-value.ts";
import { parseJsonc } from "./jsonc.ts";
import { ConfigError, showPath } from "./problems.ts";
import { shapeFindings } from "./shape.ts";

const extensions = [".json", ".yaml", ".yml"];
const fileName = /^[A-Za-z0-9_-]{1,40}$/;

/**
 * The definitions in a folder, by the names of their files; none where there is no such folder. Each file is a
 * definition with its `kind`. Rejects with a ConfigError where one cannot be used.
 */
export async function readWorkflows(folder: string): Promise<ReadonlyMap<string, Workflow>> {
  const files = await listWorkflows(folder);
  const read = await Promise.all(files.map(readWorkflow));
  const workflows = new Map<string, Workflow>();
  for (const [index, file] of files.entries()) {
    const name = basename(file, extname(file));
    if (!fileName.test(name))
      throw problem(file, "expected 1 to 40 of the characters A-Z, a-z, 0-9, _ and - as its name");
    if (workflows.has(name)) throw problem(file, "another file in the folder has the same name");
    const workflow = read[index];
    if (workflow !== undefined) workflows.set(name, workflow);
  }
  return workflows;
}

/** The files of a folder that should hold definitions, absolute, in the order of their names. */
export async function listWorkflows(folder: string): Promise<string[]> {
  try {
    const names = await readdir(folder);
    return names
      .filter((name) => extensions.includes(extname(name)))
      .toSorted()
      .map((name) => join(folder, name));
  } catch (error) {
    if (isMissing(error)) return [];
    throw problem(folder, whyUnreadable(error));
  }
}

async function readWorkflow(file: string): Promise<Workflow> {
  try {
    return await parseWorkflow(file);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw problem(file, "is nested too deeply");
  }
}

async function parseWorkflow(file: string): Promise<Workflow> {
  let text: string;
  try {
    text = await readText(file);
  } catch (error) {
    throw problem(file, whyUnreadable(error));
  }
  const isJson = extname(file) === ".json";
  const parse = isJson ? parseJsonc : (await import("./yaml.ts")).parseYaml;
  const { value, placeOf } = parse(text, file);
  if (!isObject(value)) throw problem(file, "expected an object: a definition with its kind");
  const { kind, $schema: _, ...definition } = value;
  if (kind !== "chain" && kind !== "saga")
    throw problem(file, 'expected "chain" or "saga"', "kind");
  const schema: z.ZodType<Workflow["definition"]> = kind === "chain" ? checkedChain : checkedSaga;
  const parsed = schema.safeParse(definition);
  if (parsed.data !== undefined) return { kind, definition: parsed.data };
  const { issues } = parsed.error;
  const findings = issues.flatMap((issue) => shapeFindings(issue, definition, schema));
  throw new ConfigError(
    file,
    findings.map(({ path, message }) => ({
      path: showPath(path),
      message,
      ...placeOf(path),
    })),
  );
}

const problem = (file: string, message: string, path = ""): ConfigError =>
  new ConfigError(file, [{ path, message }]);
