/*
 * Chains and sagas in files of their own.
 */
import { readdir } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import type { z } from "zod";
import { messageOf } from "../errors.ts";
import { checkedChain, checkedSaga } from "../workflows/checked.ts";
import type { Workflow } from "../workflows/workflows.ts";
import { isMissing, readText, whyUnreadable } from "./files.ts";
import { isObject } from "./json-value.ts";
import { parseJsonc } from "./jsonc.ts";
import { ConfigError, showPath } from "./problems.ts";
import { shapeFindings } from "./shape.ts";

/** Where chains and sagas were found. */
export interface WorkflowFiles {
  readonly workflows: ReadonlyMap<string, Workflow>;
  /** Absolute, in the order of their names. */
  readonly files: readonly string[];
}

const extensions = [".json", ".yaml", ".yml"];
const fileName = /^[A-Za-z0-9_-]{1,40}$/;

/**
 * The definitions in a folder, by the names of their files; none where there is no such folder. Each file is a
 * definition with its `kind`. Rejects with a ConfigError where one cannot be used.
 */
export async function readWorkflows(folder: string): Promise<WorkflowFiles> {
  const names = await list(folder);
  const files = names.map((name) => join(folder, name));
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
  return { workflows, files };
}

async function list(folder: string): Promise<string[]> {
  try {
    const names = await readdir(folder);
    return names.filter((name) => extensions.includes(extname(name))).toSorted();
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
  const json = isJson ? parseJsonc(text, file) : undefined;
  const value: unknown = json === undefined ? await parseYaml(text, file) : json.value;
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
      ...json?.placeOf(path),
    })),
  );
}

/** The parser is loaded when first needed. */
async function parseYaml(text: string, file: string): Promise<unknown> {
  const { YAMLParseError, parse } = await import("yaml");
  try {
    return parse(text);
  } catch (error) {
    // Such as too many aliases, or too many levels.
    if (!(error instanceof YAMLParseError)) throw problem(file, messageOf(error));
    const [place] = error.linePos ?? [];
    throw new ConfigError(file, [
      {
        path: "",
        message: error.message.split("\n", 1)[0] ?? "",
        ...(place && { line: place.line, column: place.col }),
      },
    ]);
  }
}

const problem = (file: string, message: string, path = ""): ConfigError =>
  new ConfigError(file, [{ path, message }]);
