import { parseEnv } from "node:util";
import { absolute, expand, fromHome } from "./expand.ts";
import type { Variables } from "./expand.ts";
import { whyUnreadable } from "./files.ts";
import type { OAuthSettings } from "../oauth-settings.ts";
import { oauthConfig } from "./oauth-config.ts";
import type { ServerEntry } from "./schema.ts";

/** A program that speaks MCP on its stdin and stdout. */
export interface StdioTransport {
  readonly kind: "stdio";
  readonly command: string;
  readonly args: readonly string[];
  /** Added to what the gateway hands on of its own environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute. */
  readonly cwd: string;
}

/** A server that is reached by HTTP. */
interface RemoteTransport {
  readonly kind: "http" | "sse";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** false: it is never asked for; undefined: it is, with the defaults. */
  readonly oauth?: false | OAuthSettings;
}

export type Transport = StdioTransport | RemoteTransport;

/** What an entry of the config file says of its transport. */
export type TransportEntry = Pick<
  ServerEntry,
  "command" | "args" | "env" | "cwd" | "envFile" | "url" | "headers" | "oauth" | "auth" | "type"
>;

interface Resolved {
  readonly transport: Transport;
  /** What is missing, each with its place: `env.TOKEN: …`. Never with a value, which may be a secret. */
  readonly problems: readonly string[];
}

/** Text and its place to the text that is meant. */
type Fill = (text: string, place: string) => string;

/** The transport with its variables as they were written. */
export const writtenTransport = (entry: TransportEntry, variables: Variables): Transport =>
  transportOf(entry, variables, (text) => text);

/** The transport with its variables expanded and its file of variables read by `readFile`. */
export function resolveTransport(
  entry: TransportEntry,
  variables: Variables,
  readFile: (path: string) => string,
): Resolved {
  const problems: string[] = [];
  const fill: Fill = (text, place) => {
    const expanded = expand(text, variables);
    problems.push(...expanded.problems.map((problem) => `${place}: ${problem}`));
    return expanded.text;
  };
  const transport = transportOf(entry, variables, fill);
  if (transport.kind !== "stdio") {
    const { clientMetadataUrl } = transport.oauth || {};
    if (problems.length === 0 && !isHttp(transport.url))
      problems.push("url: expected an address that starts with http:// or https://");
    else if (
      problems.length === 0 &&
      clientMetadataUrl !== undefined &&
      !isDocument(clientMetadataUrl)
    )
      problems.push("oauth.clientMetadataUrl: expected an https address with a path");
    return { transport, problems };
  }
  if (entry.envFile === undefined) return { transport, problems };
  const path = absolute(fill(entry.envFile, "envFile"), variables);
  try {
    const values = Object.entries(parseEnv(readFile(path))).map(([key, value = ""]) => [
      key,
      value,
    ]);
    const env = { ...Object.fromEntries(values), ...transport.env };
    return { transport: { ...transport, env }, problems };
  } catch (error) {
    problems.push(`envFile: ${path}: ${whyUnreadable(error)}`);
    return { transport, problems };
  }
}

function transportOf(entry: TransportEntry, variables: Variables, fill: Fill): Transport {
  if (entry.url !== undefined) {
    const url = fill(entry.url, "url");
    const oauth = oauthConfig(entry.oauth, entry.auth, fill);
    return {
      kind: remoteKind(entry.type, url),
      url,
      headers: fillAll(entry.headers, "headers", fill),
      ...(oauth !== undefined && { oauth }),
    };
  }
  return {
    kind: "stdio",
    command: fromHome(fill(entry.command ?? "", "command"), variables.home),
    args: entry.args.map((text, index) => fill(text, `args[${index}]`)),
    env: fillAll(entry.env, "env", fill),
    cwd: absolute(fill(entry.cwd, "cwd"), variables),
  };
}

function remoteKind(type: TransportEntry["type"], url: string): "http" | "sse" {
  if (type !== undefined) return type === "sse" ? "sse" : "http";
  return /\/sse\/?([?#]|$)/.test(url) ? "sse" : "http";
}

const fillAll = (
  values: Readonly<Record<string, string | number | null>>,
  place: string,
  fill: Fill,
): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) =>
      value === null ? [] : [[name, fill(String(value), `${place}.${name}`)]],
    ),
  );

const isHttp = (url: string): boolean =>
  URL.canParse(url) && ["http:", "https:"].includes(new URL(url).protocol);

/** Whether it can be the address of a client id metadata document. */
const isDocument = (url: string): boolean =>
  URL.canParse(url) && new URL(url).protocol === "https:" && new URL(url).pathname !== "/";
