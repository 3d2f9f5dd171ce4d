import { Cancel } from "../cancel.ts";
import { CallError, messageOf } from "../errors.ts";
import { after, now } from "../time.ts";
import { orCancelled } from "../wait.ts";
import { isAnswer, openSession, type Asked } from "./client.ts";
import type { Connection, ConnectionEvents, ServerInfo } from "./connection.ts";
import type { HttpAuth } from "./http-auth.ts";
import { HttpConnection } from "./http-connection.ts";
import { HttpTarget, type HttpAddress } from "./http-target.ts";
import { patience, probePatience, speaksModern } from "./turn.ts";

/** Statuses by which the specification of Streamable HTTP tells a server of the transport before it. */
const olderServer = [400, 404, 405];
/** Milliseconds for the try by SSE, at most: a server of the newer transport may leave it hanging. */
const longestSecondTry = 10_000;

export interface HttpOptions extends ConnectionEvents {
  readonly asked: Asked;
  /** What the server was before. */
  readonly known?: ServerInfo | undefined;
  readonly auth?: HttpAuth | undefined;
}

/**
 * Connects to a server by HTTP, within `timeoutMs` once the client is known and until `abandon` is cancelled: in
 * the newer era where it speaks that, and else initialises it. A server of kind `http` that turns out to know SSE
 * only is used by SSE.
 */
export async function connectHttp(
  upstream: string,
  address: HttpAddress,
  options: HttpOptions,
  timeoutMs: number,
  abandon: Cancel,
): Promise<Connection> {
  const { asked, known } = options;
  const target = new HttpTarget(upstream, address, options.auth);
  await orCancelled(asked.peer.capabilities, abandon);
  await target.auth?.load();
  const begun = now();
  const left = (most: number): number => Math.max(Math.min(timeoutMs - (now() - begun), most), 1);
  const modern = async (limitMs: number): Promise<Connection | undefined> => {
    const { connectModern } = await import("./modern-http-connection.ts");
    return connectModern(target, options, limitMs, abandon);
  };
  const isOlder = address.kind === "sse" || (known !== undefined && !speaksModern(known));
  if (!isOlder) {
    const found = await modern(patience(known, timeoutMs));
    if (found !== undefined) return found;
  }
  const http = new HttpConnection(target, address.kind, options);
  try {
    return await open(http, target, asked, left(timeoutMs), abandon);
  } catch (error) {
    const isOfSse = olderServer.includes(http.refusedInitialize ?? 0);
    if (!isOfSse && !(error instanceof CallError && isAnswer(error.cause))) throw error;
    const found = isOlder ? await modern(left(probePatience)) : undefined;
    if (found !== undefined) return found;
    if (!isOfSse) throw error;
    const sse = new HttpConnection(target, "sse", options);
    return open(sse, target, asked, left(longestSecondTry), abandon).catch((second: unknown) => {
      const why = `${messageOf(error)}; and by SSE: ${messageOf(second)}`;
      throw new CallError("unavailable", why, { outcome: "failed", upstream, cause: error });
    });
  }
}

/** Initialises the server at the other end. Where that fails, the connection is closed. */
async function open(
  http: HttpConnection,
  { upstream, url, mask }: HttpTarget,
  asked: Asked,
  timeoutMs: number,
  abandon: Cancel,
): Promise<Connection> {
  const { link } = http;
  const failed = (why: string, cause?: unknown): CallError =>
    new CallError(
      "unavailable",
      `${upstream} was not initialised at ${url.origin} (waited up to ${Math.round(timeoutMs)} ms): ${why}`,
      { outcome: "failed", upstream, cause },
    );
  const stop = new Cancel();
  const giveUp = (reason: CallError): void => stop.cancel(reason);
  const timer = after(timeoutMs, () => giveUp(failed("it did not answer in time")));
  abandon.subscribe(giveUp);
  void http.ended.then(giveUp);
  try {
    const session = http.start().then(() => openSession(upstream, http.wire, timeoutMs, asked));
    return {
      ...(await orCancelled(session, stop)),
      handle: (call) => link.handle(call),
      inFlight: () => link.inFlight,
      callers: () => link.callers(),
      hold: (held) => http.hold(held),
      ended: http.ended,
      close: () => http.close(),
    };
  } catch (error) {
    await http.close();
    throw error instanceof CallError ? error : failed(mask(messageOf(error)), error);
  } finally {
    timer.clear();
    abandon.unsubscribe(giveUp);
  }
}
