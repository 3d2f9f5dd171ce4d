import type { JsonObject } from "../call.ts";
import { metaKeys, modernErrors, modernVersion } from "../era.ts";
import type { RpcError } from "../errors.ts";
import { logLevels } from "../log-levels.ts";
import { isObject } from "../wire.ts";
import { clientName } from "./client-name.ts";

/** The versions that are spoken without a session. */
export const statelessVersions: readonly string[] = [modernVersion];

export const invalidParams = -32602;

/** What a request says of its client. */
export interface RequestMeta {
  readonly capabilities: JsonObject;
  /** Name and version; empty where it does not say. */
  readonly client: string;
  /** Messages of this level and above are wanted, as an index of `logLevels`; Infinity: none. */
  readonly level: number;
  readonly progressToken: unknown;
  /** What else is in its `_meta`, which is the server's business. */
  readonly rest: JsonObject;
}

/** Reads the `_meta` of a request; an error where something is wrong or missing, or its version is not spoken. */
export function readMeta(params: unknown): RequestMeta | RpcError {
  const meta = isObject(params) ? params["_meta"] : undefined;
  if (!isObject(meta)) return wrong("expected params._meta to be an object");
  const version = meta[metaKeys.protocolVersion];
  if (typeof version !== "string")
    return wrong(`expected _meta["${metaKeys.protocolVersion}"] to be a string`);
  if (!statelessVersions.includes(version))
    return {
      code: modernErrors.unsupportedVersion,
      message: `Unsupported protocol version: ${version}`,
      data: { supported: statelessVersions, requested: version },
    };
  const capabilities = meta[metaKeys.clientCapabilities];
  if (!isObject(capabilities))
    return wrong(`expected _meta["${metaKeys.clientCapabilities}"] to be an object`);
  const wanted = meta[metaKeys.logLevel];
  const level = wanted === undefined ? Infinity : logLevels.indexOf(wanted);
  if (level === -1)
    return wrong(`expected _meta["${metaKeys.logLevel}"] to be one of ${logLevels.join(", ")}`);
  const rest: JsonObject = {};
  for (const key in meta)
    if (
      key !== metaKeys.protocolVersion &&
      key !== metaKeys.clientCapabilities &&
      key !== metaKeys.clientInfo
    )
      rest[key] = meta[key];
  const client = clientName(meta[metaKeys.clientInfo]);
  return { capabilities, client, level, progressToken: meta["progressToken"], rest };
}

export const wrong = (message: string): RpcError => ({ code: invalidParams, message });
