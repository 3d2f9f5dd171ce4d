import type { Call, Handle, JsonObject, Result } from "../call.ts";
import { CallError, type RpcError } from "../errors.ts";
import type { Peer } from "../peer.ts";
import { asPersonal } from "../personal.ts";
import { forgetText, isLarge, isObject, toJson } from "../wire.ts";
import type { Asked } from "./client.ts";
import { envelope, metaKeys, modernErrors, tasksExtension } from "../era.ts";
import { needsInput, withInput, type Client } from "./input.ts";
import type { Link } from "./link.ts";
import { followTask, isTask } from "./task.ts";

const methodNotFound = -32601;
const invalidParams = -32602;
const resourceNotFound = -32002;

/** What may be answered with a request for input. */
const mayNeedInput: ReadonlySet<string> = new Set(["tools/call", "prompts/get", "resources/read"]);

/** The code of a missing capability, as it is and as drafts had it. */
const missingCapability: readonly number[] = [modernErrors.missingCapability, -32003];

export interface CallsOptions {
  readonly calls: Link;
  readonly asked: Asked;
  /** The log level that a client wants its requests to have; undefined for none. */
  readonly levelOf: (peer: Peer | undefined) => unknown;
  /** Learns anew how tools are called; tells whether there is anything to learn. */
  readonly relearn: () => Promise<boolean>;
}

/** Clients' calls to a server of the newer era, in which each says what its client can do. */
export class ModernCalls {
  readonly #options: CallsOptions;
  /** What clients have announced, since promises of it are not to be waited for at each call. */
  readonly #known = new WeakMap<Peer, JsonObject>();
  /** Calls whose client is being asked, or whose task goes on. */
  #driven = 0;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  /** How many calls wait for their answer, of whomever. */
  get inFlight(): number {
    return this.#options.calls.inFlight + this.#driven;
  }

  readonly handle: Handle = (call) => {
    const peer = this.#options.asked.peers.of(call.caller);
    // From a client of this era it means nothing, and is for the server to leave aside.
    if (call.params["task"] !== undefined && peer?.isRequest !== true)
      return Promise.reject(noSuchTasks(call));
    if (peer === undefined) return this.#send(call, { peer, capabilities: {} });
    const capabilities = this.#known.get(peer);
    if (capabilities !== undefined) return this.#send(call, { peer, capabilities });
    return peer.capabilities.then((announced) => {
      const known = asAnnounced(announced);
      this.#known.set(peer, known);
      return this.#send(call, { peer, capabilities: known });
    });
  };

  #send(call: Call, client: Client): Promise<Result> {
    const level = this.#options.levelOf(client.peer);
    const meta = {
      ...(level !== undefined && { [metaKeys.logLevel]: level }),
      ...call.meta,
      ...envelope(client.capabilities),
    };
    const whole = { ...call, meta };
    return this.#options.calls.handle(whole).then(
      (result) => this.#settle(whole, client, result),
      (error: unknown) => this.#mend(whole, client, error),
    );
  }

  /** What is left of a result for the client, once what the server needs for it has been seen to. */
  #settle(call: Call, client: Client, result: Result): Result | Promise<Result> {
    const type = result["resultType"] ?? "complete";
    if (type === "complete") {
      // Other eras do not know it. What is written as it came has it all the same.
      if (!isLarge(result) && "resultType" in result) {
        delete result["resultType"];
        forgetText(result);
      }
      return result;
    }
    const repeats = client.peer?.repeats?.(call.upstream) === true;
    if (needsInput(result) && mayNeedInput.has(call.method))
      return repeats ? asPersonal(result) : this.#drive(withInput, call, client, result);
    if (isTask(result) && call.method === "tools/call" && takesTasks(client.capabilities))
      return repeats ? asPersonal(result) : this.#drive(followTask, call, client, result);
    throw new CallError(
      "bad_answer",
      `expected a result of type complete, got ${(toJson(type) ?? typeof type).slice(0, 80)}`,
      { outcome: "unknown", upstream: call.upstream },
    );
  }

  /** Does for a client of the older era what one of this era does by itself. What comes of it is that client's alone. */
  async #drive(
    drive: typeof withInput,
    call: Call,
    client: Client,
    first: Result,
  ): Promise<Result> {
    const { calls } = this.#options;
    this.#driven++;
    try {
      const last = await drive(call, client, first, (again) => calls.handle(again));
      return asPersonal(await this.#settle(call, client, last));
    } catch (error) {
      throw error instanceof Error ? asPersonal(error) : error;
    } finally {
      this.#driven--;
    }
  }

  /** Nothing was done by a call that was refused for how it was sent; then it is sent as it should be, once. */
  async #mend(call: Call, client: Client, error: unknown): Promise<Result> {
    const rpc = error instanceof CallError ? error.rpc : undefined;
    if (rpc !== undefined && isNotFound(call, rpc)) throw notFound(call, rpc);
    const { calls, relearn } = this.#options;
    if (rpc?.code === modernErrors.headerMismatch && (await relearn()))
      return this.#settle(call, client, await calls.handle(call));
    if (rpc === undefined || !missingCapability.includes(rpc.code)) throw error;
    const repeats = client.peer?.repeats?.(call.upstream) === true;
    // Another client may have what this one lacks.
    if (repeats || !wantsTasks(rpc.data) || takesTasks(client.capabilities))
      throw asPersonal(error as CallError);
    const capabilities = withTasks(client.capabilities);
    const again = { ...call, meta: { ...call.meta, [metaKeys.clientCapabilities]: capabilities } };
    return this.#settle(again, { ...client, capabilities }, await calls.handle(again));
  }
}

/** Whether a resource is not there, which this era says as it says that parameters are wrong. */
const isNotFound = ({ method, params }: Call, { code, data }: RpcError): boolean =>
  method === "resources/read" &&
  code === invalidParams &&
  isObject(data) &&
  data["uri"] === params["uri"];

/** The same with the code of its own that the older era has for it. */
const notFound = ({ upstream }: Call, rpc: RpcError): CallError =>
  new CallError("upstream_error", rpc.message, {
    outcome: "answered",
    upstream,
    rpc: { ...rpc, code: resourceNotFound },
  });

/** What a client of either era can do, as this era announces it. */
export const asAnnounced = ({ tasks: _, roots, ...rest }: JsonObject): JsonObject => ({
  ...rest,
  ...(roots !== undefined && { roots: {} }),
});

const extensionsOf = ({ extensions }: JsonObject): JsonObject =>
  isObject(extensions) ? extensions : {};

const takesTasks = (capabilities: JsonObject): boolean =>
  isObject(extensionsOf(capabilities)[tasksExtension]);

const withTasks = (capabilities: JsonObject): JsonObject => ({
  ...capabilities,
  extensions: { ...extensionsOf(capabilities), [tasksExtension]: {} },
});

/** Whether a server asks for no other capability than tasks, which we can do for every client. */
const wantsTasks = (data: unknown): boolean =>
  isObject(data) &&
  isObject(data["requiredCapabilities"]) &&
  takesTasks(data["requiredCapabilities"]);

/** The older era's way to ask for a task, which no server of this era offers. */
function noSuchTasks({ upstream }: Call): CallError {
  const message = `${upstream} does not run tools as tasks of this kind: leave out params.task`;
  return new CallError("upstream_error", message, {
    outcome: "failed",
    upstream,
    rpc: { code: methodNotFound, message },
  });
}
