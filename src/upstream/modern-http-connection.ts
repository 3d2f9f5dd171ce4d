import type { Cancel } from "../cancel.ts";
import { CallError } from "../errors.ts";
import { orCancelled } from "../wait.ts";
import type { Connection } from "./connection.ts";
import { discover } from "./discover.ts";
import type { HttpTarget } from "./http-target.ts";
import type { HttpOptions } from "./http.ts";
import { ModernHttp } from "./modern-http.ts";
import { openModern } from "./modern-session.ts";

/** Connects to a server of the newer era; undefined where it is none, or does not answer within `timeoutMs`. */
export async function connectModern(
  target: HttpTarget,
  { asked, ...events }: HttpOptions,
  timeoutMs: number,
  abandon: Cancel,
): Promise<Connection | undefined> {
  const { upstream } = target;
  const { problem } = events;
  const wire = new ModernHttp(target, events);
  try {
    const capabilities = await asked.peer.capabilities;
    const found = discover(upstream, wire.own, capabilities, timeoutMs);
    const info = await orCancelled(found, abandon);
    if (info !== undefined) {
      const session = await openModern({ upstream, info, wire, asked, problem });
      return {
        ...session,
        hold: (held) => wire.hold(held),
        ended: wire.ended,
        close: () => Promise.resolve(wire.close()),
      };
    }
  } catch (error) {
    wire.close();
    if (abandon.reason !== undefined || saysAll(error)) throw error;
  }
  wire.close();
  return undefined;
}

/** Whether the same would come of an opening in the other era: it is not there, wants authorisation first, or is of the newer era and will not. */
const saysAll = (error: unknown): boolean =>
  !(error instanceof CallError) ||
  error.rpc !== undefined ||
  error.local ||
  (error.code === "unavailable" && error.status === undefined);
