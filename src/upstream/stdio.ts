import type { Handle, JsonObject } from "../call.ts";
import type { Cancel } from "../cancel.ts";
import { CallError, messageOf } from "../errors.ts";
import { now } from "../time.ts";
import {
  idAtEnds,
  lineReader,
  LineWriter,
  maxMessageBytes,
  parseMessages,
  toJson,
} from "../wire.ts";
import { isAnswer, openSession, type Asked, type OlderWire } from "./client.ts";
import type { Connection, ConnectionEvents, ServerInfo, Session } from "./connection.ts";
import { discover } from "./discover.ts";
import { takeEarly } from "./early.ts";
import { Link, tooLarge, unwritable, type Send } from "./link.ts";
import type { Wire } from "./modern-session.ts";
import { openEither } from "./open-either.ts";
import { OwnRequests } from "./own-requests.ts";
import { ServerProcess, type Program, type ServerRecords } from "./process.ts";
import { patience, type Opening } from "./turn.ts";

/** Bytes that may wait for a server to read them; beyond, calls are refused. */
const mostWaiting = 64 * 1024 * 1024;

/** What a connection on stdio needs besides its program. */
export interface StdioOptions extends ConnectionEvents {
  readonly asked: Asked;
  /** What the server was before. */
  readonly known?: ServerInfo | undefined;
  /** What is tried first. Default: to probe for the newer era. */
  readonly opening?: Opening;
  /** Told when the server has answered anything. */
  readonly answered?: () => void;
  /** Keeps account of its process. */
  readonly records?: ServerRecords | undefined;
  /** Takes secrets out of what the server writes, before it is quoted. */
  readonly mask?: (text: string) => string;
}

/** A session, and the calls in it. */
type Opened = Session & { readonly handle: Handle };

/** Starts a server program and initialises it, within `timeoutMs` and until `abandon` is cancelled. */
export async function connectStdio(
  upstream: string,
  program: Program,
  options: StdioOptions,
  timeoutMs: number,
  abandon: Cancel,
): Promise<Connection> {
  const { asked, records, mask } = options;
  const started = takeEarly(upstream, program);
  const server = new ServerProcess(program, options.stderr, records, mask, started);
  const writer = new LineWriter(server.stdin);
  const send: Send = (message) => {
    if (writer.waiting > mostWaiting) return overloaded(upstream);
    const line = toJson(message);
    if (line === undefined) return unwritable(upstream);
    writer.write(line);
    return undefined;
  };
  const link = new Link(upstream, send);
  const own = new OwnRequests(upstream, send);
  const output = new ServerOutput(server, link, options);
  const ended = server.ended.then((how) => {
    const reason = new CallError("connection_lost", `${upstream} ${how}`, {
      outcome: "failed",
      upstream,
    });
    link.end(reason);
    own.end(reason);
    return reason;
  });
  const lost = new Promise<never>((_, reject) => {
    void ended.then(reject);
    abandon.subscribe(reject);
  });
  const open = async (): Promise<Opened> => {
    const capabilities = await asked.peer.capabilities;
    const begun = now();
    const left = (): number => Math.max(timeoutMs - (now() - begun), 1);
    return openEither<Opened>({
      opening: options.opening ?? "discover",
      patienceMs: patience(options.known, timeoutMs),
      discover() {
        output.tell((message) => void own.receive(message));
        return discover(upstream, own, capabilities, left());
      },
      async use(info) {
        const { openModern } = await import("./modern-session.ts");
        const { problem } = options;
        const wire: Wire = {
          send,
          calls: link,
          own,
          listen(listener) {
            output.tell((message) => listener.take(message));
            void ended.then((reason) => listener.end(reason));
          },
        };
        return openModern({ upstream, info, wire, asked, problem });
      },
      both: (opened) => ({ ...opened, info: { ...opened.info, isModernToo: true } }),
      async initialize() {
        const wire: OlderWire = {
          send,
          calls: link,
          own,
          listen(take, end) {
            output.tell(take);
            void ended.then(end);
          },
          async initialized() {
            send({ jsonrpc: "2.0", method: "notifications/initialized" });
          },
        };
        const session = await openSession(upstream, wire, left(), asked);
        return { ...session, handle: (call) => link.handle(call) };
      },
      isAnswer,
      answered: () => options.answered?.(),
    });
  };
  try {
    return {
      inFlight: () => link.inFlight,
      ...(await Promise.race([open(), lost])),
      callers: () => link.callers(),
      hold(held) {
        link.hold(held);
        if (held) server.stdout.pause();
        else server.stdout.resume();
      },
      ended,
      close: () => server.stop(),
    };
  } catch (error) {
    await server.stop();
    if (error instanceof CallError) throw error;
    throw new CallError(
      "unavailable",
      `${upstream} was started but not initialised (waited up to ${timeoutMs} ms): ${messageOf(error)}${server.lastWords()}`,
      { outcome: "failed", upstream, cause: error },
    );
  }
}

const overloaded = (upstream: string): CallError =>
  new CallError(
    "overloaded",
    `${upstream} does not read what it is sent: ${mostWaiting >> 20} MiB wait for it`,
    { outcome: "failed", upstream, local: true },
  );

/** What a server writes to stdout, with the answers to calls taken out. */
class ServerOutput {
  readonly #server: ServerProcess;
  readonly #link: Link;
  readonly #options: StdioOptions;
  #take: ((message: JsonObject) => void) | undefined;
  #garbage = false;

  constructor(server: ServerProcess, link: Link, options: StdioOptions) {
    this.#server = server;
    this.#link = link;
    this.#options = options;
  }

  /** Tells `take` from now on what comes; nothing is read before. */
  tell(take: (message: JsonObject) => void): void {
    const isFirst = this.#take === undefined;
    this.#take = take;
    if (!isFirst) return;
    this.#server.stdout.on(
      "data",
      lineReader(
        (line) => this.#receive(line),
        (start, end) => this.#leaveOut(idAtEnds(start, end)),
      ),
    );
  }

  #receive(line: string): void {
    const messages = parseMessages(line);
    if (messages === undefined) this.#ignore(line);
    else
      for (const message of messages) if (!this.#link.receive(message, line)) this.#take?.(message);
  }

  /** What is too large and answers a call is told to that one. */
  #leaveOut(id: unknown): void {
    const { upstream } = this.#link;
    if (typeof id !== "number" || !this.#link.fail(id, tooLarge(upstream)))
      this.#options.problem(`left out a message of over ${maxMessageBytes} bytes`);
  }

  /** Says it once: what prints a banner often prints more. */
  #ignore(line: string): void {
    if (this.#garbage || line.trim() === "") return;
    this.#garbage = true;
    const { problem, mask } = this.#options;
    const quoted = (mask?.(line) ?? line).slice(0, 80);
    problem(`writes to stdout what is not JSON-RPC, which is left out: ${JSON.stringify(quoted)}`);
  }
}
