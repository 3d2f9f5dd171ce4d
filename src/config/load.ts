import { dirname, join } from "node:path";
import * as z from "zod";
import type { EventsOptions } from "../bus/events-options.ts";
import { checkFile } from "./check.ts";
import type { InlineOptions } from "../workflows/inline-options.ts";
import type { Workflow } from "../workflows/workflows.ts";
import { absolute, expand, workspaceOf } from "./expand.ts";
import { isMissing, readText, readTextSync, whyUnreadable } from "./files.ts";
import { findFile, type Lookup } from "./find.ts";
import { resolveHttp, type HttpConfig } from "./http.ts";
import { parseJsonc } from "./jsonc.ts";
import type { Group } from "../groups/group-options.ts";
import { ConfigError } from "./problems.ts";
import { ownToolNames } from "./own-names.ts";
import type { LogOptions, NameOptions, RunOptions } from "./schema.ts";
import { serverNames } from "./sections.ts";
import { resolveServer } from "./server.ts";
import type { ServerConfig } from "./server.ts";
import { readWorkflows } from "./workflow-files.ts";

/** A configuration file, read and resolved. */
export interface Config {
  /** Absolute. */
  readonly file: string;
  /** In the order of the file, the disabled ones too. */
  readonly servers: readonly ServerConfig[];
  readonly names: NameOptions;
  /** Globs of our own tools. */
  readonly builtins: readonly string[];
  /** Modules of the user's own, absolute. */
  readonly middleware: readonly string[];
  /** Provider groups by name. */
  readonly groups: ReadonlyMap<string, Group>;
  /** Chains and sagas by name. */
  readonly workflows: ReadonlyMap<string, Workflow>;
  /** The folder where more of them may be, absolute. */
  readonly workflowFolder: string;
  readonly inline: InlineOptions;
  readonly runs: RunOptions;
  /** Where runs are kept: `sqlite`, `sqlite:FILE` with an absolute path, or a URL, which may hold a secret. */
  readonly runStore: string;
  /** Its files are absolute. */
  readonly events: EventsOptions;
  readonly http: HttpConfig;
  /** Its file is absolute. */
  readonly log: LogOptions;
  /** One line each, with file, line and column. */
  readonly warnings: readonly string[];
}

/** What a configuration file may refer to. */
interface Context {
  /** The path of the file, absolute. */
  readonly file: string;
  readonly env: NodeJS.ProcessEnv;
  /** The user's home folder. */
  readonly home: string;
  /** Values of `${input:ID}` by id, over the defaults that the file gives. */
  readonly inputs?: Readonly<Record<string, string>>;
  /** Answers with the text of an envFile, or throws. */
  readonly readFile?: (path: string) => string;
}

/** Finds, reads and resolves the configuration. Rejects with ConfigError where it cannot be used. */
export async function loadConfig(lookup: Lookup): Promise<Config> {
  const { env, home } = lookup;
  const { file, text } = await findFile(lookup);
  const asks = text.includes("${input:");
  const inputs = asks ? await readInputs(join(dirname(file), "inputs.json")) : {};
  const config = parseConfig(text, { file, env, home, inputs });
  return { ...config, workflows: joined(config, await readWorkflows(config.workflowFolder)) };
}

/** The definitions of the file and those of the folder. Throws ConfigError where a name is taken. */
function joined(
  { file, workflows, groups, workflowFolder }: Config,
  more: Config["workflows"],
): Config["workflows"] {
  for (const name of more.keys())
    if (workflows.has(name) || groups.has(name) || ownToolNames.includes(name)) {
      const message = `${workflowFolder} has a definition of this name, which is taken`;
      throw new ConfigError(file, [{ path: name, message }]);
    }
  return new Map([...workflows, ...more]);
}

/** Resolves the text of a configuration file. Throws ConfigError where it cannot be used. */
export function parseConfig(text: string, context: Context): Config {
  const { file, env, home, inputs = {}, readFile = readTextSync } = context;
  const json = parseJsonc(text, file);
  const { content, warnings } = checkFile(json, file);
  const defaults = [...content.inputs, ...(content.mcp?.inputs ?? [])].flatMap((input) =>
    input.default === undefined ? [] : [[input.id, input.default] as const],
  );
  const around = {
    variables: {
      env,
      home,
      workspace: workspaceOf(file),
      inputs: new Map([...defaults, ...Object.entries(inputs)]),
    },
    policies: content.policies,
    readFile,
  };
  const entries = new Map(
    Object.entries({ ...content.mcp?.servers, ...content.servers, ...content.mcpServers }),
  );
  const { names, builtins, log, middleware, groups, inline, runs } = content;
  const store = expand(content.stores.runs, around.variables);
  if (store.problems.length > 0)
    throw new ConfigError(file, [{ path: "stores.runs", message: store.problems.join("; ") }]);
  return {
    file,
    servers: serverNames(json).flatMap((name) => {
      const entry = entries.get(name);
      return entry === undefined ? [] : [resolveServer(name, entry, around)];
    }),
    names,
    builtins,
    middleware: middleware.map((path) => absolute(path, around.variables)),
    groups: new Map(Object.entries(groups)),
    workflows: new Map([...ofKind("chain", content.chains), ...ofKind("saga", content.sagas)]),
    workflowFolder: absolute(content.workflows, around.variables),
    inline,
    runs,
    runStore: store.text.replace(
      /^sqlite:(.+)/s,
      (_, path: string) => `sqlite:${absolute(path, around.variables)}`,
    ),
    events: withFiles(content.events, (path) => absolute(path, around.variables)),
    http: resolveHttp(content.http, around.variables),
    log: log.file === undefined ? log : { ...log, file: absolute(log.file, around.variables) },
    warnings,
  };
}

const ofKind = (
  kind: Workflow["kind"],
  definitions: Readonly<Record<string, Workflow["definition"]>>,
): (readonly [string, Workflow])[] =>
  Object.entries(definitions).map(([name, definition]) => [name, { kind, definition }]);
/** The same, with another path for each file. */
const withFiles = (events: EventsOptions, pathOf: (path: string) => string): EventsOptions => ({
  ...events,
  ...(events.audit !== undefined && {
    audit: { ...events.audit, file: pathOf(events.audit.file) },
  }),
  sinks: events.sinks.map((sink) =>
    sink.type === "file" ? { ...sink, path: pathOf(sink.path) } : sink,
  ),
});

/** The values of inputs by id; none where there is no such file. */
async function readInputs(file: string): Promise<Record<string, string>> {
  let text: string;
  try {
    text = await readText(file);
  } catch (error) {
    if (isMissing(error)) return {};
    throw new ConfigError(file, [{ path: "", message: whyUnreadable(error) }]);
  }
  const inputs = z.record(z.string(), z.string()).safeParse(parseJsonc(text, file).value);
  if (inputs.success) return inputs.data;
  const message = "expected an object of strings: the values of the inputs by their ids";
  throw new ConfigError(file, [{ path: "", message }]);
}
