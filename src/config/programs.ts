/*
 * The programs of a config file, as far as they can be told at once: without the schema, which takes longer to
 * load than all this.
 */
import { implementation } from "../version.ts";
import { workspaceOf } from "./expand.ts";
import { readTextSync } from "./files.ts";
import { entriesOf, isObject, valueAt } from "./json-value.ts";
import { parseJsonc } from "./jsonc.ts";
import { sections } from "./section-paths.ts";
import { resolveTransport, type StdioTransport, type TransportEntry } from "./transport.ts";

interface Context {
  /** The path of the file, absolute. */
  readonly file: string;
  readonly env: NodeJS.ProcessEnv;
  /** The user's home folder. */
  readonly home: string;
}

/**
 * The programs of the servers in the text of a config file, by name. Left out is what may be disabled, remote,
 * wrong or in need of inputs. Throws ConfigError where the text is no JSON.
 */
export function plainPrograms(
  text: string,
  { file, env, home }: Context,
): ReadonlyMap<string, StdioTransport> {
  const programs = new Map<string, StdioTransport>();
  if (text.includes("${input:")) return programs;
  const json = parseJsonc(text, file);
  const variables = { env, home, workspace: workspaceOf(file), inputs: new Map() };
  for (const [key, entry] of sections.flatMap((path) => entriesOf(valueAt(json.value, path)))) {
    const name = String(key);
    // Its own name is no server's: it could be this very program, and start itself for ever.
    if (name === implementation.name || !isPlain(entry)) continue;
    const whole = { args: [], env: {}, cwd: ".", headers: {}, ...entry };
    const { transport, problems } = resolveTransport(whole, variables, readTextSync);
    if (transport.kind === "stdio" && problems.length === 0) programs.set(name, transport);
  }
  return programs;
}

type Plain = Partial<Omit<TransportEntry, "url" | "headers" | "oauth" | "auth">>;

function isPlain(entry: unknown): entry is Plain {
  if (!isObject(entry)) return false;
  const { command, args = [], env = {}, cwd = ".", envFile = ".", type = "stdio" } = entry;
  const { url, headers, disabled = false, enabled = true } = entry;
  return (
    isText(command) &&
    Array.isArray(args) &&
    args.every((arg) => typeof arg === "string") &&
    isObject(env) &&
    Object.values(env).every(
      (value) => value === null || /^(?:string|number)$/.test(typeof value),
    ) &&
    isText(cwd) &&
    isText(envFile) &&
    type === "stdio" &&
    url === undefined &&
    headers === undefined &&
    disabled === false &&
    enabled === true
  );
}

const isText = (value: unknown): boolean => typeof value === "string" && value !== "";
