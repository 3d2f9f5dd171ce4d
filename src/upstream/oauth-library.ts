/*
 * The library that does OAuth, what it fetches with, and what becomes of its answers.
 */
import type { OAuthTokens } from "@modelcontextprotocol/client";
import { Cancel } from "../cancel.ts";
import { CallError } from "../errors.ts";
import { after } from "../time.ts";
import type { OAuthSettings } from "../oauth-settings.ts";
import type { Authorisation } from "./oauth-file.ts";

/** Milliseconds that one request to an authorization server may take. */
const requestTimeout = 10_000;
/** A token is renewed this many milliseconds before its end, but not before this share of its life is over. */
const renewAhead = 30_000;
const renewAfter = 0.8;

/** What ends a renewal for good: a person has to consent anew. */
const final: readonly string[] = ["invalid_grant", "invalid_client", "unauthorized_client"];

/** Loaded when a server first asks for authorisation: it is large. */
export const oauthLibrary = () => import("@modelcontextprotocol/client");

/**
 * The authorisation with another access token. Where the authorization server no longer knows the grant,
 * without any. Rejects where it cannot be asked, which may pass.
 */
export async function renewed(
  kept: Authorisation,
  server: URL,
  { clientSecret }: OAuthSettings,
): Promise<Authorisation> {
  const { client, tokens, discovery, resource } = kept;
  if (client === undefined || discovery === undefined || tokens?.refresh_token === undefined)
    return { ...kept, tokens: undefined };
  const { authorizationServerUrl, authorizationServerMetadata: metadata } = discovery;
  const { refreshAuthorization, OAuthError } = await oauthLibrary();
  try {
    const fresh = await refreshAuthorization(authorizationServerUrl, {
      ...(metadata !== undefined && { metadata }),
      clientInformation:
        clientSecret === undefined ? client : { ...client, client_secret: clientSecret },
      refreshToken: tokens.refresh_token,
      ...(resource !== undefined && { resource }),
      fetchFn: oauthFetch(server),
    });
    return withTokens(kept, fresh, tokens.scope, client.issuer);
  } catch (error) {
    if (!(error instanceof OAuthError) || !final.includes(error.code)) throw error;
    const forgotten = { ...kept, tokens: undefined };
    return error.code === "invalid_grant" ? forgotten : { ...forgotten, client: undefined };
  }
}

/** What is to be kept once tokens have come; `asked` are the scopes that were asked for. */
export function withTokens(
  kept: Authorisation,
  tokens: OAuthTokens,
  asked: string | undefined,
  issuer: string,
): Authorisation {
  const { token_type: type, expires_in: seconds } = tokens;
  if (type.toLowerCase() !== "bearer")
    throw new Error(`${issuer} gave a token of type ${JSON.stringify(type)}; expected Bearer`);
  // Nothing that ends at once is meant.
  const lifeMs = seconds === undefined || seconds <= 0 ? undefined : seconds * 1000;
  const at = Date.now();
  return {
    ...kept,
    // A server that says nothing of the scope has granted what was asked for.
    tokens: { ...tokens, issuer, scope: tokens.scope ?? asked },
    expiresAt: lifeMs && at + lifeMs,
    renewAt: lifeMs && at + Math.max(lifeMs - renewAhead, lifeMs * renewAfter),
  };
}

/** fetch for an authorization server: within a time limit, and to addresses that may be trusted. */
export const oauthFetch =
  (server: URL) =>
  async (url: string | URL, init?: RequestInit): Promise<Response> => {
    const address = checkedAddress(new URL(url), server);
    const stop = new Cancel();
    const timer = after(requestTimeout, () => {
      const why = `${address.origin} did not answer within ${requestTimeout} ms`;
      stop.cancel(new CallError("timeout", why, { outcome: "unknown" }));
    });
    try {
      const response = await fetch(address, { ...init, signal: stop.abortSignal() });
      // What is read within the limit counts; it is small.
      const body = await response.arrayBuffer();
      return new Response(body.byteLength === 0 ? null : body, response);
    } finally {
      timer.clear();
    }
  };

/** `url` where it is https; plain http is for this machine alone, and for the server's own origin. Throws. */
export function checkedAddress(url: URL, server: URL): URL {
  const isNear = url.origin === server.origin || (isLoopback(server) && isLoopback(url));
  if (url.protocol === "https:" || (url.protocol === "http:" && isNear)) return url;
  throw new Error(
    `expected an https address for authorisation, but ${server.origin} leads to ${url.protocol}//${url.host}`,
  );
}

const isLoopback = ({ hostname }: URL): boolean =>
  /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
