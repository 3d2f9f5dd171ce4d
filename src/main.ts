#!/usr/bin/env node
import { parseArgs } from "node:util";
import { keepCompiled, startServersEarly } from "./commands/early.ts";
import { flushed, UsageError, type Output } from "./commands/output.ts";
import { Interrupted } from "./commands/signals.ts";
import { ConfigError } from "./config/problems.ts";
import { messageOf } from "./errors.ts";
import { settlesWithin } from "./time.ts";
import { implementation } from "./version.ts";

const help = `Holdfast ${implementation.version}: one MCP server in front of your others

  holdfast [serve]             serve the servers of the config file on stdin and stdout
  holdfast serve --http        serve them by HTTP, as "http" in the config file says
  holdfast check               start every server, tell state, time, version, tools and problems
  holdfast tools               list every tool as a client sees it
  holdfast explain TOOL        tell what a tool may do, and what follows for its calls
  holdfast call TOOL [JSON]    call a tool, for example: holdfast call everything__echo '{"message":"hi"}'
  holdfast run NAME [JSON]     run a chain or saga of config to its end, with its steps told on the way
  holdfast runs [ID]           list the runs of sagas, or show one with its steps
  holdfast runs cancel ID      undo a saga that is under way
  holdfast runs resume ID      let a stuck saga try again
  holdfast runs resolve ID     tell a stuck saga whether a call happened: --happened or --not, and where it is
                               needed --step STEP and --result JSON
  holdfast auth SERVER         let Holdfast use a remote server that asks for authorisation, in a browser;
                               --no-browser prints the address alone, --logout forgets the tokens
  holdfast demo                start Holdfast with a client of its own, and show what happens

  --config FILE   the config file; else $HOLDFAST_CONFIG, ./servers.json, the user's configuration folder
  --json          print for programs (check, tools, explain, call, run, runs, auth)
  --version, --help

Exit codes: 0 all is well; 1 a server is broken, a call failed, a run did not complete; 2 the command line or
config is wrong.`;

/** Milliseconds in which a client that is about to go can read what is left for it. */
const clientTime = 1000;
/** Milliseconds for what a command has printed: a person reads it page by page. */
const readerTime = 600_000;

const line = (text = ""): void => void process.stdout.write(`${text}\n`);
const note = (text: string): void => void process.stderr.write(`${text}\n`);

async function run(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parse(argv);
  const [command = "serve", first, second, ...rest] = positionals;
  const output: Output = { line, note, json: values.json ?? false };
  const { config } = values;
  const expect = (what: string, count: number): void => {
    if (positionals.length - 1 > count || rest.length > 0)
      throw new UsageError(
        `holdfast ${command} takes ${what}; got "${positionals.slice(1).join(" ")}"`,
      );
  };
  if (values.help === true) return say(help);
  if (values.version === true) return say(implementation.version);
  const isResolve = command === "runs" && first === "resolve";
  for (const option of ["happened", "not", "step", "result"] as const)
    if (values[option] !== undefined && !isResolve)
      throw new UsageError(`--${option} belongs to holdfast runs resolve ID`);
  for (const option of ["logout", "no-browser"] as const)
    if (values[option] !== undefined && command !== "auth")
      throw new UsageError(`--${option} belongs to holdfast auth SERVER`);
  if (values.http !== undefined && command !== "serve")
    throw new UsageError("--http belongs to holdfast serve");
  switch (command) {
    case "serve":
      expect("no arguments", 0);
      return leave(
        await (values.http === true ? serveHttp(config) : serveStdio(config)),
        clientTime,
      );
    case "check":
      expect("no arguments", 0);
      return (await import("./commands/check.ts")).check(config, output);
    case "tools":
      expect("no arguments", 0);
      return (await import("./commands/tools.ts")).tools(config, output);
    case "explain": {
      expect("the name of a tool", 1);
      const tool = required(first, "explain TOOL");
      return (await import("./commands/explain.ts")).explain(config, tool, output);
    }
    case "call": {
      expect("the name of a tool and its arguments as JSON", 2);
      const tool = required(first, "call TOOL [JSON]");
      return (await import("./commands/call.ts")).call(config, tool, second, output);
    }
    case "run": {
      expect("the name of a chain or saga and its input as JSON", 2);
      const name = required(first, "run NAME [JSON]");
      return (await import("./commands/run.ts")).run(config, name, second, output);
    }
    case "runs":
      expect("nothing, the id of a run, or cancel, resume or resolve and the id", 2);
      return runs(config, first, second, values, output);
    case "auth": {
      expect("the name of a server", 1);
      const options = { logout: values.logout === true, browser: values["no-browser"] !== true };
      const server = required(first, "auth SERVER");
      return (await import("./commands/auth.ts")).auth(config, server, options, output);
    }
    case "demo":
      expect("no arguments", 0);
      return (await import("./commands/demo.ts")).demo(config, output);
    default:
      throw new UsageError(`there is no command "${command}"; see holdfast --help`);
  }
}

/** The servers come up while the rest is loaded. */
async function serveStdio(config: string | undefined): Promise<number> {
  await startServersEarly(config);
  keepCompiled();
  return (await import("./commands/serve.ts")).serve(config);
}

/** What it takes is loaded only where it is wanted. */
const serveHttp = async (config: string | undefined): Promise<number> =>
  (await import("./commands/serve-http.ts")).serveHttp(config);

async function runs(
  config: string | undefined,
  action: string | undefined,
  id: string | undefined,
  { happened, not, step, result }: ReturnType<typeof parse>["values"],
  output: Output,
): Promise<number> {
  const { cancelRun, listRuns, resolveRun, resumeRun, showRun } =
    await import("./commands/runs.ts");
  switch (action) {
    case undefined:
      return listRuns(config, output);
    case "cancel":
      return cancelRun(config, required(id, "runs cancel ID"), output);
    case "resume":
      return resumeRun(config, required(id, "runs resume ID"), output);
    case "resolve": {
      const usage = "runs resolve ID --happened|--not [--step STEP] [--result JSON]";
      if (happened === not) throw new UsageError(`expected holdfast ${usage}`);
      const word = { happened: happened === true, step, result };
      return resolveRun(config, required(id, usage), word, output);
    }
    default:
      if (id !== undefined)
        throw new UsageError(`expected cancel, resume or resolve before the id; got "${action}"`);
      return showRun(config, action, output);
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        config: { type: "string" },
        json: { type: "boolean" },
        http: { type: "boolean" },
        happened: { type: "boolean" },
        not: { type: "boolean" },
        step: { type: "string" },
        result: { type: "string" },
        logout: { type: "boolean" },
        "no-browser": { type: "boolean" },
        version: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError(`${messageOf(error)}; see holdfast --help`);
  }
}

function required(value: string | undefined, usage: string): string {
  if (value === undefined) throw new UsageError(`expected holdfast ${usage}`);
  return value;
}

function say(text: string): number {
  line(text);
  return 0;
}

/** Exits when all that was printed has been read, or `ms` milliseconds later. */
async function leave(code: number, ms: number): Promise<never> {
  await settlesWithin(Promise.all([flushed(process.stdout), flushed(process.stderr)]), ms);
  return process.exit(code);
}

// Zod's configuration, before zod is loaded: what schemas check, they check in less time than it takes to compile
// them.
Object.assign(globalThis, { __zod_globalConfig: { jitless: true } });

/** Who reads what we write may go before we do. */
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

run(process.argv.slice(2)).then(
  (code) => leave(code, readerTime),
  (error: unknown) => {
    if (error instanceof Interrupted) return leave(error.code, clientTime);
    const expected = error instanceof UsageError || error instanceof ConfigError;
    const text = expected || !(error instanceof Error) ? messageOf(error) : error.stack;
    process.stderr.write(`holdfast: ${text}\n`);
    return leave(expected ? 2 : 1, clientTime);
  },
);
