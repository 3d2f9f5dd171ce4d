import type { JsonObject, Result } from "../call.ts";
import { CallError } from "../errors.ts";
import { isObject } from "../wire.ts";
import { serverInfo, type ServerInfo } from "./connection.ts";
import { envelope, isModern, metaKeys, modernErrors, modernVersion } from "../era.ts";
import type { OwnRequests } from "./own-requests.ts";

const ofTheNewerEra: ReadonlySet<number> = new Set(Object.values(modernErrors));

/**
 * Asks a server what it is, in the manner of the newer era. Undefined for a server that is of the older one, or
 * says that it would rather be. Rejects where it is of the newer era and cannot be used, or does not answer.
 */
export async function discover(
  upstream: string,
  own: OwnRequests,
  capabilities: JsonObject,
  timeoutMs: number,
): Promise<ServerInfo | undefined> {
  const ask = (): Promise<Result> =>
    own.ask("server/discover", { _meta: envelope(capabilities) }, timeoutMs);
  try {
    return infoOf(upstream, await ask());
  } catch (error) {
    const rpc = error instanceof CallError ? error.rpc : undefined;
    if (rpc === undefined) throw error;
    if (!ofTheNewerEra.has(rpc.code)) return undefined;
    const supported = isObject(rpc.data) ? rpc.data["supported"] : undefined;
    if (rpc.code !== modernErrors.unsupportedVersion || !isMutual(upstream, supported)) throw error;
    return choose(supported) ? infoOf(upstream, await ask()) : undefined;
  }
}

/** What the answer says; undefined where it is none, or names only older versions. */
function infoOf(upstream: string, result: Result): ServerInfo | undefined {
  const { supportedVersions, _meta: meta } = result;
  if (!isMutual(upstream, supportedVersions) || !choose(supportedVersions)) return undefined;
  const self = isObject(meta) ? meta[metaKeys.serverInfo] : undefined;
  return serverInfo(modernVersion, self, result);
}

/** Whether these are versions at all. Throws where they are, and we speak none of them. */
function isMutual(upstream: string, versions: unknown): versions is readonly unknown[] {
  if (!Array.isArray(versions)) return false;
  if (versions.some((version) => version === modernVersion || !isModern(String(version))))
    return true;
  throw new CallError(
    "unavailable",
    `${upstream} speaks the protocol in ${versions.join(", ")}, and Holdfast speaks ${modernVersion} and older ones`,
    { outcome: "failed", upstream },
  );
}

/** Whether the newer era is the one to use. */
const choose = (versions: readonly unknown[]): boolean => versions.includes(modernVersion);
