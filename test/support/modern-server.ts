import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { JsonObject } from "../../src/call.ts";
import { atTestEnd, root, temporaryFolder } from "./gateway.ts";
import { readFileSync } from "node:fs";

const program = join(root, "test/support/modern-server.mjs");

/** How a server is reached, and which eras it speaks. */
export type Way = readonly ["stdio" | "http", "modern" | "dual"];

/** Our server of the newer era, as the reference SDK makes it. */
export class ModernServer {
  /** What config says of it. */
  readonly config: JsonObject;
  readonly #log: string;
  #child: ChildProcess | undefined;

  private constructor(config: JsonObject, log: string, child?: ChildProcess) {
    this.config = config;
    this.#log = log;
    this.#child = child;
  }

  /** One that ends with the test; on stdio, one that the gateway starts. */
  static async start(
    [transport, eras]: Way,
    options: readonly string[] = [],
  ): Promise<ModernServer> {
    const log = join(temporaryFolder(), "log");
    const args = [
      program,
      `--log=${log}`,
      ...(eras === "dual" ? ["--legacy=serve"] : []),
      ...options,
    ];
    if (transport === "stdio") return new ModernServer({ command: process.execPath, args }, log);
    const child = spawn(process.execPath, [...args, "--http=0"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [port] = (await once(child.stdout, "data")) as [Buffer];
    const url = `http://127.0.0.1:${Number(port)}/mcp`;
    const server = new ModernServer({ url }, log, child);
    atTestEnd(() => server.stop());
    return server;
  }

  /** What it got, in order; and what else happened to it. */
  get got(): readonly string[] {
    return readFileSync(this.#log, "utf8").trimEnd().split("\n");
  }

  /** How often it got a request of that method. */
  count(what: string): number {
    return this.got.filter((one) => one === what || one.startsWith(`${what} `)).length;
  }

  async until(condition: (got: readonly string[]) => boolean): Promise<void> {
    while (!condition(this.got)) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }
}
