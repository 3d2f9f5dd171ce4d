import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import { rmSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { main } from "../gateway.ts";
import { idOf, type Cell } from "./cell.ts";
import { connect2025 } from "./client-2025.ts";
import { connect2026 } from "./client-2026.ts";
import {
  capabilities,
  type Era,
  type MatrixClient,
  type Target,
  type Transport,
} from "./client.ts";

const programOf = (era: Era): string =>
  fileURLToPath(new URL(`server-${era}.mjs`, import.meta.url));

const everyServer = (["2025", "2026"] as const).flatMap((server) =>
  (["stdio", "http"] as const).map((back) => ({ server, back })),
);

type Which = "first" | "second" | "mute";

/** The servers, gateways and clients of all cells, each started when first needed. */
export class Peers {
  readonly #folder = mkdtempSync(join(tmpdir(), "holdfast-matrix-"));
  readonly #children: ChildProcess[] = [];
  readonly #exits: Promise<unknown>[] = [];
  readonly #urls = new Map<Era, Promise<string>>();
  readonly #env = { HOLDFAST_STATE_DIR: join(this.#folder, "state") };
  #served: Promise<string> | undefined;
  #config: Promise<string[]> | undefined;
  readonly #clients = new Map<string, Promise<MatrixClient>>();

  /** The client of that cell, or another, or one that can be asked nothing. All cells with the same way to the same gateway share it. */
  clientIn({ client, front, server, back }: Cell, which: Which = "first"): Promise<MatrixClient> {
    return front === undefined
      ? this.#client(which, client, back, () => this.#server({ server, back }))
      : this.#client(which, client, `gateway ${front}`, () => this.#gateway(front));
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values())
      await client.then(
        (made) => made.close(),
        () => {},
      );
    for (const child of this.#children) child.kill();
    await Promise.all(this.#exits);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #client(
    which: Which,
    era: Era,
    where: string,
    target: () => Promise<Target>,
  ): Promise<MatrixClient> {
    const key = `${which} ${era} ${where}`;
    const connect = era === "2025" ? connect2025 : connect2026;
    const made = async (): Promise<MatrixClient> =>
      connect(await target(), which === "mute" ? {} : capabilities);
    const client = this.#clients.get(key) ?? made();
    this.#clients.set(key, client);
    return client;
  }

  #spawn(args: readonly string[], options: SpawnOptions): ChildProcess {
    const child = spawn(process.execPath, args, options);
    this.#children.push(child);
    this.#exits.push(once(child, "exit"));
    return child;
  }

  async #server(which: Pick<Cell, "server" | "back">): Promise<Target> {
    const args = this.#argsOf(which);
    return which.back === "stdio"
      ? { command: process.execPath, args }
      : { url: await this.#url(which.server) };
  }

  #argsOf(which: Pick<Cell, "server" | "back">): string[] {
    return [programOf(which.server), idOf(which), join(this.#folder, idOf(which))];
  }

  /** The one server of that era by HTTP. */
  #url(server: Era): Promise<string> {
    const url = this.#urls.get(server) ?? this.#listen(server);
    this.#urls.set(server, url);
    return url;
  }

  async #listen(server: Era): Promise<string> {
    const args = [...this.#argsOf({ server, back: "http" }), "--http"];
    const child = this.#spawn(args, { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(child.stdout as Readable, "data")) as [Buffer];
    return `http://127.0.0.1:${Number(line)}/mcp`;
  }

  async #gateway(front: Transport): Promise<Target> {
    const args = await (this.#config ??= this.#prepare());
    if (front === "stdio") return { command: process.execPath, args, env: this.#env };
    return { url: await (this.#served ??= this.#serve(args)) };
  }

  /** The one gateway by HTTP. */
  async #serve(config: readonly string[]): Promise<string> {
    const env = { ...process.env, ...this.#env };
    const args = [...config, "serve", "--http"];
    const child = this.#spawn(args, { stdio: ["ignore", "ignore", "pipe"], env });
    let said = "";
    return new Promise((resolve, reject) => {
      child.stderr?.on("data", (chunk) => {
        said += String(chunk);
        const url = /serves MCP at (\S+)\n/.exec(said)?.[1];
        if (url !== undefined) resolve(url);
      });
      child.on("exit", () => reject(new Error(`the gateway ended: ${said}`)));
    });
  }

  /** The config of all gateways. They know the servers from an earlier run, as they do at users'. */
  async #prepare(): Promise<string[]> {
    const mcpServers = Object.fromEntries(
      await Promise.all(
        everyServer.map(async (which) => {
          const target = await this.#server(which);
          return [idOf(which), "url" in target ? { type: "http", ...target } : target] as const;
        }),
      ),
    );
    const file = join(this.#folder, "servers.json");
    writeFileSync(file, JSON.stringify({ mcpServers, builtins: ["status"] }));
    const env = { ...process.env, ...this.#env };
    const config = ["--config", file];
    const earlier = spawn(process.execPath, [main, "tools", ...config], { stdio: "ignore", env });
    await once(earlier, "exit");
    return [main, ...config];
  }
}
