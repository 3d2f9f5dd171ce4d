import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { JsonObject } from "../../src/call.ts";
import { atTestEnd, main, root } from "./gateway.ts";

const program = fileURLToPath(new URL("odd-auth-server.mjs", import.meta.url));

/** What the server saw. */
interface Seen {
  readonly registrations: readonly JsonObject[];
  readonly authorizations: readonly Readonly<Record<string, string>>[];
  readonly exchanges: number;
  readonly renewals: number;
  readonly reused: number;
  readonly calls: readonly string[];
  readonly initialised: number;
  readonly stray: readonly unknown[];
}

/** A server that wants authorisation, with its authorization server, in a process of its own. */
export class OddAuth {
  readonly #port: number;
  /** Of the authorization server. */
  readonly issuer: string;

  private constructor(port: number, issuer: string) {
    this.#port = port;
    this.issuer = issuer;
  }

  /** Starts one, which ends with the test. */
  static async start(options: Readonly<Record<string, string | number>> = {}): Promise<OddAuth> {
    const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    atTestEnd(() => child.kill("SIGKILL"));
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const [port, issuer] = String(line).trim().split(" ");
    return new OddAuth(Number(port), `http://127.0.0.1:${issuer}`);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/mcp`;
  }

  async seen(): Promise<Seen> {
    return (await (await fetch(new URL("/seen", this.url))).json()) as Seen;
  }

  async act(name: "expire" | "revoke" | "forget" | "down" | "up" | "careless"): Promise<void> {
    await (await fetch(new URL(`/do/${name}`, this.url), { method: "POST" })).text();
  }
}

/** What `holdfast auth` told, and how it ended. */
export interface Authorised {
  readonly code: number;
  readonly told: JsonObject;
  readonly stderr: string;
}

/** Runs `holdfast auth SERVER`, with a person who goes where `browse` says. */
export async function authorise(
  config: string,
  env: NodeJS.ProcessEnv,
  {
    server = "web",
    browse = follow,
  }: { server?: string; browse?: (url: URL) => Promise<void> } = {},
): Promise<Authorised> {
  const args = [main, "auth", server, "--json", "--no-browser", "--config", config];
  const child: ChildProcess = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const closed = once(child, "close");
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => (stderr += String(chunk)));
  let told: JsonObject = {};
  if (child.stdout !== null)
    for await (const line of createInterface(child.stdout)) {
      told = JSON.parse(line) as JsonObject;
      if (typeof told["open"] === "string") await browse(new URL(told["open"]));
    }
  const [code] = (await closed) as [number];
  return { code, told, stderr };
}

/** Where the authorization server sends the browser back to. */
export async function consent(url: URL): Promise<URL> {
  const { headers } = await fetch(url, { redirect: "manual" });
  return new URL(headers.get("location") ?? "");
}

async function follow(url: URL): Promise<void> {
  await (await fetch(await consent(url))).text();
}
