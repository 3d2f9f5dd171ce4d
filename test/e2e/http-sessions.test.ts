import { once } from "node:events";
import { Agent, request as httpRequest } from "node:http";
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { ListRootsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { atTestEnd, odd, root } from "../support/gateway.ts";
import { initialize, sdkClient, serveHttp, type HttpGateway } from "../support/http-gateway.ts";
import { seeded } from "../support/random.ts";

/** Seconds for which sessions come and go; a minute shows what a few seconds do not. */
const seconds = Number(process.env["SOAK_SECONDS"] ?? 3);
const clients = 200;
/** Of these so many can be asked, and so have a process of their own. */
const asked = 3;
/** What may be left of it all, in bytes: what is compiled and kept for reuse grows a little. */
const mostLeft = 8 * 1024 * 1024;

const config = {
  mcpServers: {
    odd: {
      ...odd({ tools: "echo,steps,sleep" }),
      tools: { overrides: { echo: { effect: "read" } } },
    },
    asker: odd({ tools: "ask,pid" }),
  },
  events: { history: { maxEvents: 10 } },
  http: { sessionIdleMs: 4000, maxSessions: 50_000 },
};

interface Inside {
  readonly heap: number;
  readonly handles: Record<string, number>;
}

it(
  "200 clients that come and go get each their own answers, and leave nothing behind",
  async () => {
    const inside = pathToFileURL(join(root, "test/support/inside.mjs")).href;
    const gateway = await serveHttp(config, { args: ["--expose-gc", "--import", inside] });
    await expect.poll(() => isReady(gateway), { timeout: 20_000 }).toBe(true);
    await beAsked(gateway);
    // What is loaded and compiled once is no leak.
    await soak(gateway, 2);
    const before = await settled(gateway);
    const { answers, sessions } = await soak(gateway, seconds);
    const after = await settled(gateway);
    expect(answers).toBeGreaterThan(clients);
    expect(sessions).toBeGreaterThan(clients);
    expect(after.handles).toEqual(before.handles);
    expect(after.heap - before.heap).toBeLessThan(mostLeft);
  },
  (seconds + 60) * 1000,
);

/** One of the servers asks its client, so that it is known for that from now on. */
async function beAsked({ url }: HttpGateway): Promise<void> {
  const { client, transport } = await sdkClient(url, { roots: {} }, (prepared) =>
    prepared.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [] })),
  );
  await client.callTool({ name: "asker__ask", arguments: { method: "roots/list" } });
  await transport.terminateSession();
  await client.close();
}

/** What the gateway holds when all sessions have ended, and their processes and connections with them. */
async function settled(gateway: HttpGateway): Promise<Inside> {
  let found = await look(gateway);
  await expect
    .poll(
      async () => {
        found = await look(gateway);
        // The two servers, and the listener.
        return [found.handles["ProcessWrap"], found.handles["TCPSocketWrap"] ?? 0];
      },
      { timeout: 20_000, interval: 250 },
    )
    .toEqual([2, 0]);
  // Some of it goes only a while after its last use.
  for (let n = 0; n < 8; n++) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    const { heap } = await look(gateway);
    found = { ...found, heap: Math.min(heap, found.heap) };
  }
  return found;
}

async function look({ child }: HttpGateway): Promise<Inside> {
  child.send("look");
  const [found] = (await once(child, "message")) as [Inside];
  // Timers come and go by themselves, and so do looks at the config file.
  const { Timeout: _, Immediate: __, FSReqPromise: ___, ...handles } = found.handles;
  return { heap: found.heap, handles };
}

const isReady = async ({ url }: HttpGateway): Promise<boolean> =>
  (await fetch(url.replace(/mcp$/, "readyz"))).ok;

async function soak({ url }: HttpGateway, forSeconds: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity });
  atTestEnd(() => agent.destroy());
  const until = performance.now() + forSeconds * 1000;
  const count = { answers: 0, sessions: 0 };
  await Promise.all(
    Array.from({ length: clients }, async (_, index) => {
      const chance = seeded(index + 1);
      while (performance.now() < until) {
        count.sessions++;
        const answers = await live(new RawSession(url, agent), index < asked, chance);
        count.answers += answers;
      }
    }),
  );
  agent.destroy();
  return count;
}

/** One session from its beginning to its end; how many answers it got. */
async function live(session: RawSession, canBeAsked: boolean, chance: () => number) {
  const secret = `secret-${chance()}-${chance()}`;
  await session.open(canBeAsked ? { roots: {} } : {});
  if (chance() < 0.3) session.listen();
  const calls = 1 + Math.floor(chance() * 8);
  for (let n = 0; n < calls; n++) {
    const tool = chance() < 0.3 ? "steps" : "echo";
    const args = tool === "echo" ? { secret } : { count: 2, everyMs: 5, secret };
    const text = await session.call(`odd__${tool}`, args, `${secret}-${n}`);
    // What comes to this session is its own: the answer, and progress by its token.
    if (tool === "echo") expect(text).toContain(secret);
    else expect(text.match(/secret-[\d.]+-[\d.]+/g)).toEqual([secret, secret]);
    for (const found of text.match(/secret-[\d.]+-[\d.]+/g) ?? []) expect(found).toBe(secret);
  }
  if (canBeAsked) {
    const text = await session.call("asker__pid", {}, secret);
    expect(text).toContain("result");
  }
  const end = chance();
  if (end < 0.4) await session.end();
  // Others go in the middle of a call, or just stay away.
  else if (end < 0.7) session.cut("odd__sleep", { ms: 200, secret });
  session.forget();
  return calls;
}

/** A client that costs little, so that it is the gateway that works. */
class RawSession {
  readonly #url: string;
  readonly #agent: Agent;
  readonly #open = new Set<() => void>();
  #id = "";
  #next = 1;

  constructor(url: string, agent: Agent) {
    this.#url = url;
    this.#agent = agent;
  }

  async open(capabilities: JsonObject): Promise<void> {
    await this.#send("POST", initialize(capabilities));
    await this.#send("POST", { jsonrpc: "2.0", method: "notifications/initialized" });
  }

  /** All that came as the answer, whatever its type. */
  call(name: string, args: JsonObject, progressToken: string): Promise<string> {
    return this.#send("POST", this.#message(name, args, progressToken));
  }

  listen(): void {
    this.#send("GET").catch(() => {});
  }

  cut(name: string, args: JsonObject): void {
    this.#send("POST", this.#message(name, args, "cut")).catch(() => {});
    setTimeout(() => this.forget(), 20);
  }

  end(): Promise<string> {
    return this.#send("DELETE");
  }

  forget(): void {
    for (const close of this.#open) close();
  }

  #message(name: string, args: JsonObject, progressToken: string): JsonObject {
    const params = { name, arguments: args, _meta: { progressToken } };
    return { jsonrpc: "2.0", id: this.#next++, method: "tools/call", params };
  }

  #send(method: string, message?: JsonObject): Promise<string> {
    const headers = {
      accept: method === "GET" ? "text/event-stream" : "application/json, text/event-stream",
      ...(message !== undefined && { "content-type": "application/json" }),
      ...(this.#id !== "" && { "mcp-session-id": this.#id }),
    };
    return new Promise((resolve, reject) => {
      const request = httpRequest(this.#url, { method, headers, agent: this.#agent });
      const close = (): void => void request.destroy();
      this.#open.add(close);
      request.on("close", () => this.#open.delete(close));
      request.on("error", reject);
      request.on("response", (response) => {
        if (message?.["method"] === "initialize")
          this.#id = String(response.headers["mcp-session-id"]);
        if ((response.statusCode ?? 500) >= 400) reject(new Error(`${response.statusCode}`));
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (text += chunk));
        response.on("error", reject);
        response.on("end", () => resolve(text));
      });
      request.end(message === undefined ? undefined : JSON.stringify(message));
    });
  }
}
