import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const main = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
/** Milliseconds for a server to come up, with the pauses between the tries. */
const patience = 10_000;

export const wantsAuthorisation = (text) => text.includes("run `holdfast auth");

/** How Holdfast is started on the state and config in `folder`. */
export const command = (folder, ...args) => ({
  command: process.execPath,
  args: [main, "--config", join(folder, "servers.json"), ...args],
  env: { ...process.env, HOLDFAST_STATE_DIR: join(folder, "state") },
});

/** A gateway with one upstream, whose tools keep their names, and a client that holds it. */
export class Gateway {
  #client;
  #stderr = "";
  /** What went wrong last. */
  problem = "";

  static async start(folder, server) {
    const config = { mcpServers: { up: { ...server, prefix: "" } }, builtins: [] };
    await writeFile(join(folder, "servers.json"), JSON.stringify(config));
    const gateway = new Gateway();
    const transport = new StdioClientTransport({ ...command(folder), stderr: "pipe" });
    transport.stderr.on("data", (chunk) => {
      gateway.#stderr += chunk;
      process.stderr.write(chunk);
    });
    const capabilities = { elicitation: { form: { applyDefaults: true } } };
    gateway.#client = new Client({ name: "conformance", version: "1.0.0" }, { capabilities });
    gateway.#client.setRequestHandler(ElicitRequestSchema, () => ({
      action: "accept",
      content: {},
    }));
    await gateway.#client.connect(transport);
    return gateway;
  }

  /** Whether `use` comes to its end; where it does not, `problem` says why. */
  async succeeds(use) {
    this.#stderr = "";
    try {
      await use(this);
      return true;
    } catch (error) {
      this.problem = `${error.message}\n${this.#stderr}`;
      return false;
    }
  }

  /** The tools as they are listed when every upstream was tried. */
  async listed() {
    return (await this.#client.listTools()).tools;
  }

  /** The tools, once the upstream is there. */
  async tools() {
    const until = Date.now() + patience;
    for (;;) {
      const tools = await this.listed();
      if (tools.length > 0) return tools;
      if (wantsAuthorisation(this.#stderr)) throw new Error("there are no tools");
      if (Date.now() > until) throw new Error("there are no tools, for a long time");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async call(name, args = {}) {
    const result = await this.#client.callTool({ name, arguments: args });
    if (result.isError) throw new Error(JSON.stringify(result.content));
    return result;
  }

  /** Calls every tool. */
  async useAll() {
    for (const { name } of await this.tools()) await this.call(name);
  }

  close() {
    return this.#client.close();
  }
}
