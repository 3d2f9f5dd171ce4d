import { homedir } from "node:os";
import { join } from "node:path";
import type { Cancel } from "../cancel.ts";
import type { Config } from "../config/load.ts";
import { asCallError, CallError, messageOf } from "../errors.ts";
import { redactor } from "../observe/redact.ts";
import { Peers, PeerSlot } from "../peer.ts";
import { stateFolder } from "../state-folder.ts";
import { settlesWithin } from "../time.ts";
import { connector } from "../upstream/connector.ts";
import { authFile } from "../upstream/http-connector.ts";
import { HttpTarget, type HttpAddress } from "../upstream/http-target.ts";
import { OAuthCallback } from "../upstream/oauth-callback.ts";
import type { OAuthFile } from "../upstream/oauth-file.ts";
import { beginFlow } from "../upstream/oauth-flow.ts";
import { unknownName } from "./nearest.ts";
import { readConfig } from "./open.ts";
import { UsageError, type Output } from "./output.ts";
import { untilSignal } from "./signals.ts";

/** Milliseconds that a person has to consent. */
const patience = 300_000;
/** Characters of what went wrong. */
const longestProblem = 1000;

export interface AuthOptions {
  /** Whether what is kept of the server is forgotten instead. */
  readonly logout: boolean;
  /** Whether a browser is opened. */
  readonly browser: boolean;
}

/** A server that can be authorised. */
interface Target {
  readonly name: string;
  readonly address: HttpAddress;
  readonly startTimeoutMs: number;
  readonly folder: string;
  readonly file: OAuthFile;
}

/**
 * `holdfast auth SERVER`: lets a person authorise Holdfast for a remote server, in a browser. 1 where that
 * does not succeed, else 0.
 */
export async function auth(
  file: string | undefined,
  name: string,
  { logout, browser }: AuthOptions,
  output: Output,
): Promise<number> {
  const target = targetOf(await readConfig(file), name);
  if (logout) return forget(target, output);
  const { callbackPort } = target.address.oauth || {};
  const { client } = await target.file.read();
  const callback = await OAuthCallback.listen(callbackPort, portOf(client?.redirect_uris)).catch(
    (error: unknown) => {
      throw new UsageError(`cannot listen on port ${callbackPort}: ${messageOf(error)}`);
    },
  );
  return untilSignal(
    async (stop) => {
      const result = await new Session(target, callback, browser, stop, output).run();
      const { problem } = result;
      if (output.json) output.line(JSON.stringify({ server: name, ...result }));
      else if (problem !== undefined) output.note(`${name} is not authorised: ${problem}`);
      else output.line(`${name} is authorised: ${result.tools} tools`);
      return problem === undefined ? 0 : 1;
    },
    () => callback.close(),
  );
}

/** How it went; with `problem` the server cannot be used. */
interface Outcome {
  readonly problem?: string;
  readonly tools?: number;
  /** That was granted. */
  readonly scope?: string;
}

/** One authorisation, from the first look at the server to the last. */
class Session {
  readonly #target: Target;
  readonly #callback: OAuthCallback;
  readonly #browser: boolean;
  readonly #stop: Cancel;
  readonly #output: Output;
  /** What is shown to nobody. */
  readonly #secrets: string[];

  constructor(
    target: Target,
    callback: OAuthCallback,
    browser: boolean,
    stop: Cancel,
    output: Output,
  ) {
    this.#target = target;
    this.#callback = callback;
    this.#browser = browser;
    this.#stop = stop;
    this.#output = output;
    this.#secrets = [(target.address.oauth || {}).clientSecret ?? []].flat();
  }

  async run(): Promise<Outcome> {
    try {
      return await this.#run();
    } catch (error) {
      // The authorization server may have forgotten Holdfast, so that it registers anew the next time.
      const { tokens, client } = await this.#target.file.read();
      if (tokens === undefined && client !== undefined) await this.#target.file.forget();
      return { problem: this.#plain(messageOf(error)) };
    }
  }

  async #run(): Promise<Outcome> {
    const { file, address } = this.#target;
    const { redirectUrl } = this.#callback;
    // What the server wants is told when it refuses.
    const before = await this.#attempt();
    if (before instanceof CallError && before.status === undefined) throw before;
    const flow = await beginFlow(
      new URL(address.url),
      address.oauth || {},
      await file.read(),
      redirectUrl,
    ).catch((error: unknown) => {
      if (before instanceof CallError) throw error;
      throw new Error(`it answers as it is, and ${messageOf(error)}`, { cause: error });
    });
    const answer = this.#callback.answer(flow.state);
    this.#show(flow.url.href);
    if (this.#browser) await openBrowser(flow.url.href);
    if (!(await settlesWithin(answer, patience)))
      throw new Error(`nobody came back to ${redirectUrl} within ${patience / 60_000} minutes`);
    const came = await answer;
    this.#secrets.push(...came.getAll("code"));
    const next = await flow.finish(came);
    await file.update(() => next);
    const after = await this.#attempt();
    const scope = next.tokens?.scope;
    return {
      ...(after instanceof CallError ? { problem: this.#plain(after.message) } : { tools: after }),
      ...(scope !== undefined && { scope }),
    };
  }

  /** Connects as a gateway would. Resolves with the number of its tools, or with why it cannot be used. */
  async #attempt(): Promise<number | CallError> {
    const { name, address, folder, startTimeoutMs } = this.#target;
    const connect = connector(name, address, {
      environment: process.env,
      asked: { peer: new PeerSlot({}), peers: new Peers() },
      mask: (text) => text,
      authFolder: folder,
      secret: (value) => this.#secrets.push(value),
      problem: (problem) => this.#output.note(this.#plain(`${name} ${problem}`)),
      stderr: () => {},
    });
    try {
      const connection = await connect(startTimeoutMs, this.#stop);
      try {
        return (await connection.list("tools", startTimeoutMs)).length;
      } finally {
        await connection.close();
      }
    } catch (error) {
      return asCallError(error);
    }
  }

  #show(url: string): void {
    const { json, line } = this.#output;
    const { name } = this.#target;
    if (json) return line(JSON.stringify({ server: name, open: url }));
    line(`To let Holdfast use ${name}, open this within ${patience / 60_000} minutes:`);
    line(`\n${url}\n`);
  }

  /** In one line, without secrets, and without what a terminal could take for a command. */
  #plain(text: string): string {
    return redactor(this.#secrets)(text)
      .replaceAll(/[\s\p{Cc}]+/gu, " ")
      .slice(0, longestProblem);
  }
}

async function forget({ name, file }: Target, { line, json }: Output): Promise<number> {
  const had = await file.forget();
  if (json) line(JSON.stringify({ server: name, forgotten: had }));
  else line(had ? `The tokens of ${name} are forgotten.` : `There were no tokens of ${name}.`);
  return 0;
}

/** Throws UsageError where there is no such server, or it is none that can be authorised. */
function targetOf({ servers, file }: Config, name: string): Target {
  const server = servers.find((one) => one.name === name);
  if (server === undefined)
    throw unknownName(
      "server",
      name,
      servers.map((one) => one.name),
    );
  const { transport, problem, disabled, startTimeoutMs } = server;
  const refuse = (why: string): UsageError => new UsageError(`${file}: ${name} ${why}`);
  if (disabled) throw refuse("is disabled");
  if (problem !== undefined) throw refuse(`cannot be used: ${problem}`);
  if (transport.kind === "stdio")
    throw refuse("is a program; expected a server with a url: only those are authorised");
  if (transport.oauth === false) throw refuse("has oauth: false; expected an object, or none");
  if (new HttpTarget(name, transport).givesCredentials)
    throw refuse("is given its credentials in headers or url, which win; take them out first");
  const folder = join(stateFolder(process.env, homedir()), "auth");
  return { name, address: transport, startTimeoutMs, folder, file: authFile(folder, transport) };
}

/** The port that a client was registered with. */
const portOf = (redirectUrls: readonly string[] = []): number | undefined =>
  redirectUrls.map((url) => Number(new URL(url).port)).find((port) => port > 0);

/** Where that does not work, the address is there to be opened. */
async function openBrowser(url: string): Promise<void> {
  const { default: open } = await import("open");
  await open(url).catch(() => {});
}
