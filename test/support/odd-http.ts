import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach } from "vitest";

const program = fileURLToPath(new URL("odd-http-server.mjs", import.meta.url));

/** What the misbehaving server saw. */
export interface Seen {
  readonly requests: readonly {
    readonly method?: string;
    readonly tool?: string;
    readonly session?: string;
    readonly version?: string;
  }[];
  readonly cancelled: readonly { readonly requestId: number; readonly reason?: string }[];
  /** How many GETs came. */
  readonly gets: number;
  /** The ids of requests whose stream was closed before it ended. */
  readonly closed: readonly number[];
  /** Connections that are open now, and that were at once, at most. */
  readonly open: number;
  readonly mostOpen: number;
}

type Options = Readonly<Record<string, string | number>>;

/** Our misbehaving server by HTTP, in a process of its own. */
export class OddHttp {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  /** Starts one, which ends with the test. */
  static async start(options: Options = {}): Promise<OddHttp> {
    const server = await OddHttp.#spawn(options);
    ofTest.push(server);
    return server;
  }

  /** One for all tests of a file that ask for the same options; it ends with the last. */
  static shared(options: Options = {}): Promise<OddHttp> {
    const key = JSON.stringify(options);
    const server = ofFile.get(key) ?? OddHttp.#spawn(options);
    ofFile.set(key, server);
    return server;
  }

  static async #spawn(options: Options): Promise<OddHttp> {
    const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    return new OddHttp(child, Number(line));
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `${this.origin}/mcp`;
  }

  async seen(): Promise<Seen> {
    return (await (await fetch(`${this.origin}/seen`)).json()) as Seen;
  }

  /** Waits until what it saw is as wanted. */
  async until(wanted: (seen: Seen) => boolean): Promise<Seen> {
    for (;;) {
      const seen = await this.seen();
      if (wanted(seen)) return seen;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async act(name: "forget" | "drop-get" | "end-get" | "exit"): Promise<void> {
    await (await fetch(`${this.origin}/do/${name}`, { method: "POST" })).text();
  }

  /** Kills it, and waits until it is gone. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }

  /** Resolves when it has ended by itself. */
  async exited(): Promise<void> {
    if (this.#child.exitCode === null) await once(this.#child, "exit");
  }
}

const ofTest: OddHttp[] = [];
const ofFile = new Map<string, Promise<OddHttp>>();

afterEach(async () => {
  await Promise.all(ofTest.splice(0).map((server) => server.stop()));
});
afterAll(async () => {
  for (const server of ofFile.values()) await (await server).stop();
});
