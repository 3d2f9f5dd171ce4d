/*
 * Everything that servers.json may say. Types, servers.schema.json and the tables of the README come from here.
 */
import * as z from "zod";
import { eventsOptions } from "../bus/events-options.ts";
import type { Effect } from "../call.ts";
import { expression, withExpressions } from "../expressions/schema.ts";
import { group } from "../groups/group-options.ts";
import { policyOptions, type PolicyName } from "../policies/all-options.ts";
import { timeoutOptions } from "../policies/timeout-options.ts";
import { httpOptions } from "./http.ts";
import { checkedChain, checkedSaga } from "../workflows/checked.ts";
import { inlineOptions } from "../workflows/inline-options.ts";
import { cursorAuth, oauthOptions } from "./oauth-options.ts";

type Level<Shape> = {
  [Key in keyof Shape]: Shape[Key] extends z.ZodDefault<infer Option>
    ? z.ZodExactOptional<Option>
    : never;
};

/** Options as one level of the file gives them: what is left out is left to the levels around it. */
function level<Shape extends Record<string, z.ZodDefault<z.ZodType>>>(
  options: z.ZodObject<Shape, z.core.$strict>,
): z.ZodObject<Level<Shape>> {
  const shape = Object.entries(options.shape).map(([name, option]) => [
    name,
    option.unwrap().exactOptional().meta({ default: option.def.defaultValue }),
  ]);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- fromEntries forgets the keys
  return z.object(Object.fromEntries(shape) as Level<Shape>);
}

const policy = <Shape extends Record<string, z.ZodDefault<z.ZodType>>>(
  options: z.ZodObject<Shape, z.core.$strict>,
) => z.union([z.literal(false), level(options)]).exactOptional();

const names = (what: string) => z.array(z.string()).describe(what);

type PolicyShape = {
  [Name in PolicyName]: ReturnType<typeof policy<(typeof policyOptions)[Name]["options"]["shape"]>>;
};

const policyShape = Object.fromEntries(
  Object.entries(policyOptions).map(([name, { options, about }]) => [
    name,
    policy<Record<string, z.ZodDefault<z.ZodType>>>(options).describe(about),
  ]),
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- fromEntries forgets the keys
) as PolicyShape;

export const policies = z.object(policyShape).meta({
  id: "policies",
  description:
    "What makes calls dependable. A server's policies win over the file's and a tool's over the server's, key by key; false switches one off.",
});

const effects = ["read", "idempotent", "write"] as const satisfies readonly Effect[];

export const toolOverride = z
  .object({
    effect: z
      .enum(effects)
      .exactOptional()
      .describe(
        "What is done when the tool is called again: nothing (read), the same once more (idempotent), or another effect (write). Default: what the tool's annotations say.",
      ),
    title: z.string().exactOptional().describe("Title shown instead of the tool's own."),
    description: z
      .string()
      .exactOptional()
      .describe("Description shown instead of the tool's own."),
    annotations: z
      .looseObject({
        title: z.string().exactOptional().describe("A title for people."),
        readOnlyHint: z.boolean().exactOptional().describe("It changes nothing."),
        destructiveHint: z.boolean().exactOptional().describe("It may destroy something."),
        idempotentHint: z.boolean().exactOptional().describe("Calling it again does no more."),
        openWorldHint: z.boolean().exactOptional().describe("It reaches out to other systems."),
      })
      .exactOptional()
      .describe("MCP annotations that replace the tool's own, key by key."),
    policies: policies.exactOptional(),
    costUsd: z
      .number()
      .min(0)
      .max(1_000_000)
      .exactOptional()
      .describe("US dollars that one call costs. Default: 0."),
    invalidates: names(
      'Exposed names of tools whose kept answers a call of this one outdates; "*" stands for any text. Those of its own server are outdated by every write.',
    ).exactOptional(),
    supersede: withExpressions(z.string().min(1), "arguments")
      .exactOptional()
      .describe(
        'A newer call with the same key replaces an older one of the session: a text with expressions over the arguments, such as "${{ arguments.id }}".',
      ),
    verify: z
      .object({
        tool: z.string().min(1).describe("Exposed name of a tool that only reads."),
        arguments: withExpressions(z.record(z.string(), z.unknown()), "arguments")
          .default({})
          .describe('Its arguments; texts may hold expressions, such as "${{ arguments.id }}".'),
        happened: expression("arguments", "result").describe(
          'Whether the call happened: an expression over arguments and result, such as "${{ result.state == arguments.state }}".',
        ),
        delayMs: z
          .int()
          .min(0)
          .max(600_000)
          .default(0)
          .describe("Milliseconds to wait before it is asked."),
      })
      .exactOptional()
      .describe("How to find out whether a call happened whose answer was lost."),
  })
  .describe("Changes to one tool.");

export const toolRules = z
  .object({
    allow: names('Names of tools to offer; "*" stands for any text.').default(["*"]),
    deny: names('Names of tools to leave out; "*" stands for any text. Wins over allow.').default(
      [],
    ),
    overrides: z
      .record(z.string(), toolOverride)
      .default({})
      .describe("Changes to single tools, by the name that the server gives them."),
  })
  .describe("Which tools of the server are offered, and how.");

/** How the clients' files call the transports. */
const types = ["stdio", "local", "http", "streamable-http", "streamableHttp", "sse"] as const;

/** Where neither startTimeoutMs nor connectionTimeout is given. */
export const defaultStartTimeoutMs = 30_000;

const startTimeoutMs = z.int().min(1).max(600_000).exactOptional();

export const serverEntry = z
  .object({
    command: z
      .string()
      .min(1)
      .exactOptional()
      .describe("Program to start; it speaks MCP on its stdin and stdout."),
    args: z.array(z.string()).default([]).describe("Arguments of the program."),
    env: z
      .record(z.string(), z.union([z.string(), z.number(), z.null()]))
      .default({})
      .describe("Environment variables of the program; null: as if it were not here."),
    cwd: z
      .string()
      .min(1)
      .default(".")
      .describe(
        "Folder to run the program in; a relative one starts at this file's folder (the one around it, where that is .vscode or .cursor).",
      ),
    envFile: z
      .string()
      .min(1)
      .exactOptional()
      .describe("File of NAME=value lines; env wins over it. A relative path as in cwd."),
    url: z.string().min(1).exactOptional().describe("Address of a remote server (http or https)."),
    headers: z
      .record(z.string(), z.string())
      .default({})
      .describe("HTTP headers of every request to the remote server."),
    oauth: z
      .union([z.literal(false), oauthOptions])
      .exactOptional()
      .describe(
        "How the remote server is authorised where it asks for that and headers hold no Authorization (see holdfast auth); false: never.",
      ),
    auth: cursorAuth.exactOptional(),
    type: z
      .enum(types)
      .exactOptional()
      .describe(
        "Transport. Default: stdio with a command; with a url http, or sse where the path of the url ends in /sse.",
      ),
    prefix: z
      .string()
      .exactOptional()
      .describe(
        'Put before the names of its tools. Default: the name of the server; "" leaves the names as they are.',
      ),
    disabled: z.boolean().default(false).describe("Whether to leave the server out."),
    enabled: z.boolean().default(true).describe("false: the same as disabled."),
    trust: z
      .boolean()
      .default(true)
      .describe("Whether to believe the annotations of its tools; false: all of them are writes."),
    startTimeoutMs: startTimeoutMs
      .meta({ default: defaultStartTimeoutMs })
      .describe("Milliseconds until the server must have answered the first request."),
    connectionTimeout: startTimeoutMs.describe("Another name of startTimeoutMs."),
    requestTimeout: timeoutOptions.shape.attemptMs
      .unwrap()
      .exactOptional()
      .describe("Another name of policies.timeout.attemptMs."),
    idleStopMs: z
      .int()
      .min(0)
      .max(86_400_000)
      .default(0)
      .describe("Milliseconds without a call after which the server is stopped; 0: never."),
    tools: z
      .union([toolRules, names("The same as allow.")])
      .exactOptional()
      .describe("Which tools of the server are offered, and how. A list is the same as allow."),
    disabledTools: names("Names of tools to leave out, added to tools.deny.").default([]),
    policies: policies.exactOptional(),
  })
  .meta({
    id: "server",
    description: "A server: a program to start (command) or a remote one (url).",
  });

const input = z
  .looseObject({
    id: z.string().min(1).describe("The name in ${input:NAME}."),
    default: z.string().exactOptional().describe("The value where none is given."),
  })
  .meta({
    id: "input",
    description:
      "A value that ${input:NAME} stands for: of the environment variable HOLDFAST_INPUT_NAME, else of inputs.json beside this file.",
  });

const servers = z.record(z.string(), serverEntry).exactOptional();
const inputs = z.array(input).default([]).describe("The values that ${input:NAME} stands for.");

/** The name of one of Holdfast's own tools. */
const ownToolName = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,40}$/, "1 to 40 of the characters A-Z, a-z, 0-9, _ and -");

export const storeOptions = z
  .object({
    runs: z
      .string()
      .min(1)
      .default("sqlite")
      .describe(
        'Where the runs of sagas are kept: "sqlite" (a file in the state folder), "sqlite:FILE", or the URL of a PostgreSQL database ("postgres://…"), for several machines.',
      ),
  })
  .describe("Where Holdfast keeps what outlives it.");

const runOptions = z
  .object({
    keepMs: z
      .int()
      .min(0)
      .max(31_536_000_000)
      .default(604_800_000)
      .describe("Milliseconds for which an ended run is kept; the default is 7 days."),
    maxRuns: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(10_000)
      .describe("Ended runs that are kept at most; the oldest go first."),
    maxBytes: z
      .int()
      .min(0)
      .max(1_099_511_627_776)
      .default(1_073_741_824)
      .describe("Bytes that ended runs may take in all; the oldest go first."),
  })
  .describe(
    "How long the runs of sagas are kept. What is not ended is kept for as long as it takes.",
  );

const nameOptions = z
  .object({
    separator: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,4}$/, "1 to 4 of the characters A-Z, a-z, 0-9, _ and -")
      .default("__")
      .describe("Between prefix and tool."),
    maxLength: z
      .int()
      .min(16)
      .max(128)
      .default(49)
      .describe("Characters of a name at most; longer ones are cut and get a hash."),
  })
  .describe("How the names of tools are made.");

const logOptions = z
  .object({
    level: z
      .enum(["debug", "info", "warn", "error", "silent"])
      .default("warn")
      .describe("The least weighty lines to write."),
    format: z
      .enum(["pretty", "json"])
      .default("pretty")
      .describe("Lines for people (pretty) or for programs (json)."),
    file: z
      .string()
      .min(1)
      .exactOptional()
      .describe("File to write to instead of stderr; a relative path as in cwd."),
  })
  .describe("What is written down.");

export const configFile = z
  .object({
    $schema: z.string().exactOptional().describe("The schema of this file, for editors."),
    mcpServers: servers.describe("The servers, by name."),
    servers: servers.describe("The servers, by name, as VS Code calls them."),
    inputs,
    mcp: z
      .object({ servers: servers.describe("The servers, by name."), inputs })
      .exactOptional()
      .describe("Servers and inputs as they stand in VS Code's settings."),
    policies: policies.exactOptional(),
    middleware: z
      .array(z.string().min(1))
      .default([])
      .describe(
        "Modules of your own whose default export is a middleware; outermost first, around all policies. Relative paths as in cwd.",
      ),
    groups: z
      .record(ownToolName, group)
      .default({})
      .describe("Tools that do the same, offered as one tool each, by the name of that tool."),
    chains: z
      .record(ownToolName, checkedChain)
      .default({})
      .describe(
        "Calls of tools that follow from each other, by the name of the tool that runs them.",
      ),
    sagas: z
      .record(ownToolName, checkedSaga)
      .default({})
      .describe(
        "Calls of tools that are undone in reverse when a later one fails, by the name of the tool that runs them.",
      ),
    workflows: z
      .string()
      .min(1)
      .default("workflows")
      .describe(
        "Folder of more chains and sagas, a file each (NAME.json, NAME.yaml) with its kind beside the rest. It need not be there. A relative path as in cwd.",
      ),
    inline: inlineOptions.prefault({}),
    runs: runOptions.prefault({}),
    stores: storeOptions.prefault({}),
    events: eventsOptions.prefault({}),
    http: httpOptions.prefault({}),
    names: nameOptions.prefault({}),
    builtins: names('Which of Holdfast\'s own tools are listed; "*" stands for any text.').default([
      "*",
    ]),
    log: logOptions.prefault({}),
  })
  .meta({ title: "Holdfast", description: "The configuration of Holdfast, servers.json." });

export type ConfigFile = z.output<typeof configFile>;
export type ServerEntry = z.output<typeof serverEntry>;
export type Policies = z.output<typeof policies>;
export type Verify = NonNullable<z.output<typeof toolOverride>["verify"]>;
export type NameOptions = z.output<typeof nameOptions>;
export type RunOptions = z.output<typeof runOptions>;
export type LogOptions = z.output<typeof logOptions>;
