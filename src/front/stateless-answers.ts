/*
 * Answers as the era without sessions wants them: each says what kind of result it is, and who gives it.
 */
import type { Freshness, JsonObject, Result } from "../call.ts";
import { metaKeys } from "../era.ts";
import type { RpcError } from "../errors.ts";
import { implementation } from "../version.ts";
import { isLarge, isObject, resultLine } from "../wire.ts";
import type { RequestId } from "./exchange.ts";
import { invalidParams } from "./stateless-meta.ts";

/** The members that complete results have in common, as text. */
const complete = `"resultType":"complete"`;
const identity = `"_meta":{"${metaKeys.serverInfo}":${JSON.stringify(implementation)}}`;

/** Answers that were known by another code before. */
const resourceNotFound = -32002;

/** Of what nobody has said how long it stays as it is: the earlier era only tells when it changes. */
export const stale: Freshness = { ttlMs: 0, cacheScope: "private" };

/**
 * The answer with a result of a server, which keeps what it says of itself. Of a large one that has a `_meta`
 * only the server tells who it is, so that it need not be written anew. Throws where it cannot be written.
 */
export function completeLine(id: RequestId, method: string, result: Result): string {
  const { resultType, _meta: meta, ttlMs, cacheScope } = result;
  let members = resultType === undefined ? complete : "";
  if (method === "resources/read" && (resultType ?? "complete") === "complete") {
    if (ttlMs === undefined) members += `,"ttlMs":${stale.ttlMs}`;
    if (cacheScope === undefined) members += `,"cacheScope":"${stale.cacheScope}"`;
  }
  if (meta === undefined) members += `,${identity}`;
  else if (isObject(meta) && meta[metaKeys.serverInfo] === undefined && !isLarge(result))
    return resultLine(
      id,
      { ...result, _meta: { ...meta, [metaKeys.serverInfo]: implementation } },
      leading(members),
    );
  return resultLine(id, result, leading(members));
}

const leading = (members: string): string => (members.startsWith(",") ? members.slice(1) : members);

/** The answer with a result of our own, whose members are given as text. */
export const ownLine = (id: RequestId, members: string): string =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{${complete},${identity}${members === "" ? "" : `,${members}`}}}`;

/** The answer with a list, given as the text of an object. */
export const listLine = (id: RequestId, list: string, { ttlMs, cacheScope }: Freshness): string =>
  ownLine(id, `"ttlMs":${ttlMs},"cacheScope":"${cacheScope}",${list.slice(1, -1)}`);

/** The answer that ends a subscription. */
export const endedLine = (id: RequestId): string =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{${complete},"_meta":{"${metaKeys.serverInfo}":${JSON.stringify(implementation)},"${metaKeys.subscriptionId}":${JSON.stringify(id)}}}}`;

/** An answer that asks for input. */
export const inputRequiredLine = (
  id: RequestId,
  inputRequests: JsonObject,
  requestState: string,
): string =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"resultType":"input_required",${identity},"inputRequests":${JSON.stringify(inputRequests)},"requestState":"${requestState}"}}`;

/** An error of a server of the earlier era, as this one knows it. */
export function asStatelessError(error: RpcError, params: JsonObject): RpcError {
  if (error.code !== resourceNotFound) return error;
  const data = isObject(error.data) ? error.data : {};
  return {
    code: invalidParams,
    message: error.message,
    data: { ...data, ...("uri" in params && { uri: params["uri"] }) },
  };
}

/** Of a list that several make: the least that they all allow. Nobody's list stays as it is. */
export function freshnessOf(parts: Iterable<Freshness | undefined>): Freshness {
  let ttlMs = Infinity;
  let isPublic = true;
  for (const part of parts) {
    const { ttlMs: own, cacheScope } = part ?? stale;
    ttlMs = Math.min(ttlMs, own);
    isPublic &&= cacheScope === "public";
  }
  return ttlMs === Infinity ? stale : { ttlMs, cacheScope: isPublic ? "public" : "private" };
}
