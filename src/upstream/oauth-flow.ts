/*
 * How a person is asked to authorise Holdfast, by OAuth 2.1 as MCP has it.
 */
import { randomBytes } from "node:crypto";
import type { OAuthClientProvider, OAuthDiscoveryState } from "@modelcontextprotocol/client";
import type { OAuthSettings } from "../oauth-settings.ts";
import type { Authorisation, OAuthClient } from "./oauth-file.ts";
import { checkedAddress, oauthFetch, oauthLibrary, withTokens } from "./oauth-library.ts";

/** An authorisation that waits for a person. */
export interface Flow {
  /** To be opened in a browser. */
  readonly url: URL;
  /** What must come back with the answer. */
  readonly state: string;
  /** What is to be kept, from the parameters that came back. Rejects with the reason where they are no consent. */
  finish(answer: URLSearchParams): Promise<Authorisation>;
}

/**
 * Begins to authorise: finds the authorization server, and registers with it where need be. Rejects with the
 * reason where that cannot be done.
 */
export async function beginFlow(
  server: URL,
  settings: OAuthSettings,
  kept: Authorisation,
  redirectUrl: string,
): Promise<Flow> {
  const { auth, exchangeAuthorization, validateAuthorizationResponseIssuer } = await oauthLibrary();
  const fetchFn = oauthFetch(server);
  const discovery = await discover(server, settings, kept);
  const { authorizationServerUrl, authorizationServerMetadata: metadata } = discovery;
  const issuer = metadata?.issuer ?? authorizationServerUrl;
  const state = randomBytes(32).toString("base64url");
  const { clientId, clientMetadataUrl } = settings;
  const isPublic = metadata?.token_endpoint_auth_methods_supported?.includes("none") === true;
  // What the library finds and makes.
  let client = knownClient(settings, kept, redirectUrl);
  let url: URL | undefined;
  let verifier = "";
  let resource: string | undefined;
  const provider: OAuthClientProvider = {
    redirectUrl,
    clientMetadata: {
      client_name: "Holdfast",
      redirect_uris: [redirectUrl],
      response_types: ["code"],
      grant_types: ["authorization_code", "refresh_token"],
      ...(isPublic && { token_endpoint_auth_method: "none" }),
    },
    ...(clientMetadataUrl !== undefined && { clientMetadataUrl }),
    state: () => state,
    clientInformation: () => client,
    // A client that was registered beforehand is never replaced by another.
    ...(clientId === undefined && {
      saveClientInformation: (registered) =>
        void (client = { ...registered, issuer, redirect_uris: [redirectUrl] }),
    }),
    tokens: () => undefined,
    saveTokens: () => {},
    discoveryState: () => discovery,
    saveDiscoveryState: () => {},
    saveResourceUrl: (found) => void (resource = found),
    saveCodeVerifier: (made) => void (verifier = made),
    codeVerifier: () => verifier,
    redirectToAuthorization: (found) => void (url = found),
  };
  const scope = await scopeToAsk(settings, kept);
  await auth(provider, {
    serverUrl: server,
    fetchFn,
    forceReauthorization: true,
    ...(scope !== undefined && { scope }),
  });
  if (url === undefined || client === undefined)
    throw new Error(`${issuer} gave no address at which to ask for consent`);
  const known: OAuthClient = { ...client, issuer };
  const asked = url.searchParams.get("scope") ?? undefined;
  return {
    url: checkedAddress(url, server),
    state,
    async finish(answer) {
      const iss = answer.get("iss") ?? undefined;
      validateAuthorizationResponseIssuer({
        iss,
        expectedIssuer: metadata?.issuer,
        issParameterSupported: metadata?.authorization_response_iss_parameter_supported === true,
      });
      const code = answer.get("code");
      if (code === null) throw new Error(`${issuer} did not consent: ${refusalIn(answer)}`);
      const tokens = await exchangeAuthorization(authorizationServerUrl, {
        ...(metadata !== undefined && { metadata }),
        clientInformation: known,
        authorizationCode: code,
        ...(iss !== undefined && { iss }),
        codeVerifier: verifier,
        redirectUri: redirectUrl,
        ...(resource !== undefined && { resource }),
        fetchFn,
      });
      const next = {
        server: kept.server,
        // What config has is not kept a second time.
        client: clientId === undefined ? known : { client_id: clientId, issuer },
        discovery,
        resource,
      };
      return withTokens(next, tokens, asked, issuer);
    },
  };
}

/** Finds the authorization server of a server. */
async function discover(
  server: URL,
  { issuer }: OAuthSettings,
  { wanted }: Authorisation,
): Promise<OAuthDiscoveryState> {
  const { discoverOAuthServerInfo, discoverAuthorizationServerMetadata } = await oauthLibrary();
  const fetchFn = oauthFetch(server);
  const place = wanted?.resourceMetadataUrl;
  const found = await discoverOAuthServerInfo(server, {
    fetchFn,
    ...(place !== undefined && { resourceMetadataUrl: new URL(place) }),
  });
  const { resourceMetadata, authorizationServerUrl, authorizationServerMetadata } = found;
  if (resourceMetadata === undefined && authorizationServerMetadata === undefined)
    throw new Error(
      `${server.origin} names no authorization server (expected protected resource metadata, or authorization server metadata at its origin)`,
    );
  if (issuer === undefined || issuer === authorizationServerMetadata?.issuer) return found;
  const named = resourceMetadata?.authorization_servers ?? [authorizationServerUrl];
  if (!named.includes(issuer))
    throw new Error(
      `expected ${issuer}, which config gives as oauth.issuer, but ${server.origin} names ${named.join(", ")}`,
    );
  const metadata = await discoverAuthorizationServerMetadata(issuer, { fetchFn });
  if (metadata === undefined)
    throw new Error(`${issuer} (oauth.issuer of config) has no authorization server metadata`);
  return { ...found, authorizationServerUrl: issuer, authorizationServerMetadata: metadata };
}

/** The client of config, else the one that was registered for the same place to come back to. */
function knownClient(
  { clientId, clientSecret, issuer }: OAuthSettings,
  { client }: Authorisation,
  redirectUrl: string,
): OAuthClient | Omit<OAuthClient, "issuer"> | undefined {
  if (clientId === undefined)
    return client?.redirect_uris?.includes(redirectUrl) === true ? client : undefined;
  const bound = issuer ?? (client?.client_id === clientId ? client.issuer : undefined);
  return {
    client_id: clientId,
    ...(clientSecret !== undefined && { client_secret: clientSecret }),
    ...(bound !== undefined && { issuer: bound }),
  };
}

/** The scopes to ask for; undefined where the server's metadata shall say. */
async function scopeToAsk(
  { scopes }: OAuthSettings,
  { wanted, tokens }: Authorisation,
): Promise<string | undefined> {
  if (wanted?.more !== true) return scopes ?? wanted?.scope ?? tokens?.scope;
  const { computeScopeUnion } = await oauthLibrary();
  return computeScopeUnion(scopes, wanted.scope);
}

const refusalIn = (answer: URLSearchParams): string =>
  [answer.get("error"), answer.get("error_description")].filter(Boolean).join(": ") ||
  "it sent neither a code nor an error";
