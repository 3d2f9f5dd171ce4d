import { createHash } from "node:crypto";
import * as z from "zod";
import { isLoopback } from "../loopback.ts";
import { expand, type Variables } from "./expand.ts";
import type { ConfigProblem } from "./problems.ts";

const token = z.string().min(1);

export const httpOptions = z
  .object({
    host: z
      .string()
      .min(1)
      .default("127.0.0.1")
      .describe(
        "Address to listen on. Any but this machine's own (127.0.0.1, ::1, localhost) needs tokens.",
      ),
    port: z.int().min(0).max(65_535).default(0).describe("Port to listen on; 0: any that is free."),
    tokens: z
      .array(
        z.union([
          token,
          z.object({
            name: z.string().min(1).describe("Under which the bearer is known in logs and runs."),
            token: token.describe("The token, as in the list itself."),
          }),
        ]),
      )
      .default([])
      .describe(
        'Bearer tokens of which clients need one, of 16 characters at least: as "${NAME}" from the environment, or as "sha256:" and the hash in hex. Runs, results and budgets belong to the name of a token.',
      ),
    allowedHosts: z
      .array(z.string().min(1))
      .default([])
      .describe(
        'Names in the Host header that are served, such as "mcp.example.com" or "mcp.example.com:8080". This machine\'s own names are always served where host is one of them; elsewhere an empty list stands for any.',
      ),
    allowedOrigins: z
      .array(z.string().min(1))
      .default([])
      .describe(
        'Origins of web pages that are let in, and told so (CORS), such as "https://app.example.com".',
      ),
    maxBodyBytes: z
      .int()
      .min(1024)
      .max(268_435_456)
      .default(4_194_304)
      .describe("Bytes of one request's body at most."),
    maxBatch: z.int().min(1).max(10_000).default(100).describe("Messages in one body at most."),
    maxSessions: z
      .int()
      .min(1)
      .max(100_000)
      .default(1000)
      .describe(
        "Sessions at most: a new one takes the place of the idlest of whoever has most, or of the oldest where none is idle and it belongs to another; else it is refused. Also the requests without a session that one principal may have open.",
      ),
    maxInFlight: z
      .int()
      .min(1)
      .max(10_000)
      .default(256)
      .describe("Requests of one session that wait for their answers, at most."),
    sessionIdleMs: z
      .int()
      .min(100)
      .max(604_800_000)
      .default(1_800_000)
      .describe(
        "Milliseconds after which a session is ended that has no request under way and no stream open.",
      ),
    replayBytes: z
      .int()
      .min(0)
      .max(268_435_456)
      .default(1_048_576)
      .describe(
        "Bytes of what was sent as events that each session keeps, for clients whose stream broke.",
      ),
    maxUnreadBytes: z
      .int()
      .min(1_048_576)
      .max(68_719_476_736)
      .default(268_435_456)
      .describe(
        "Bytes of large answers (over 64 KiB) that clients may leave unread together. Beyond, a client that has left more than its share has to read first: its requests get 429, and calls under way `overloaded` with the outcome `done`.",
      ),
    requestTimeoutMs: z
      .int()
      .min(100)
      .max(3_600_000)
      .default(30_000)
      .describe("Milliseconds for a request to arrive in full."),
    keepAliveMs: z
      .int()
      .min(10)
      .max(3_600_000)
      .default(15_000)
      .describe(
        "Milliseconds between two signs of life on a stream on which nothing else is sent.",
      ),
    drainMs: z
      .int()
      .min(0)
      .max(3_600_000)
      .default(10_000)
      .describe("Milliseconds that requests under way get when the gateway is told to end."),
  })
  .describe("What holdfast serve --http listens on, and who is let in.");

type Written = z.output<typeof httpOptions>;

/** As written, but with tokens as their hashes. */
export interface HttpConfig extends Omit<Written, "tokens"> {
  readonly tokens: readonly { readonly principal: string; readonly sha256: Buffer }[];
  /** Tokens that must not be written anywhere. */
  readonly secrets: readonly string[];
  /** Why nothing can be served by HTTP with it. */
  readonly problems: readonly ConfigProblem[];
}

const shortestToken = 16;
const hashPattern = /^sha256:([\da-f]{64})$/i;
/** Digits of its hash by which a token without a name is known. */
const shownDigits = 8;

/** Expands the tokens. A problem of theirs matters only to who serves by HTTP. */
export function resolveHttp(written: Written, variables: Variables): HttpConfig {
  const problems: ConfigProblem[] = [];
  const secrets: string[] = [];
  const tokens = written.tokens.flatMap((entry, index) => {
    const { name, token: text } =
      typeof entry === "string" ? { name: undefined, token: entry } : entry;
    const { text: given, problems: missing } = expand(text, variables);
    const hash = hashPattern.exec(given)?.[1];
    const wrong = missing.length > 0 ? missing.join("; ") : hash === undefined && wrongToken(given);
    if (typeof wrong === "string") {
      problems.push({ path: `http.tokens[${index}]`, message: wrong });
      return [];
    }
    if (hash === undefined) secrets.push(given);
    const sha256 =
      hash === undefined ? createHash("sha256").update(given).digest() : Buffer.from(hash, "hex");
    const principal = name ?? `token-${sha256.toString("hex").slice(0, shownDigits)}`;
    return [{ principal, sha256 }];
  });
  if (written.tokens.length === 0 && !isLoopback(written.host)) {
    const message = `needed to listen on ${written.host}, where others than this machine can connect`;
    problems.push({ path: "http.tokens", message });
  }
  return { ...written, tokens, secrets, problems };
}

/** What is wrong with a token; it is not quoted. */
function wrongToken(given: string): string | undefined {
  if (given.startsWith("sha256:")) return 'expected 64 hex digits after "sha256:"';
  if (given.length < shortestToken) return `expected at least ${shortestToken} characters`;
  if (/[^\x21-\x7e]/.test(given)) return "expected no spaces and no characters beyond ASCII";
  return undefined;
}
