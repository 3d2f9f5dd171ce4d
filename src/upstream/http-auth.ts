import { isDeepStrictEqual } from "node:util";
import { CallError, messageOf } from "../errors.ts";
import { now } from "../time.ts";
import type { Authorisation, OAuthFile, Wanted } from "./oauth-file.ts";
import type { OAuthSettings } from "../oauth-settings.ts";
import { oauthLibrary, renewed } from "./oauth-library.ts";

/** Milliseconds after a renewal that failed in which none is tried. */
const pauseAfterFailure = 2000;
/** Characters of a server's words that are shown. */
const longestWords = 200;
/** Tokens that are hidden at most, the latest first: answers to requests with older ones may still come. */
const mostHidden = 9;

export interface HttpAuthOptions {
  readonly upstream: string;
  readonly server: URL;
  readonly settings: OAuthSettings;
  readonly file: OAuthFile;
  /** Told each token when it is first known, so that it can be hidden. */
  readonly secret: (value: string) => void;
  readonly problem: (problem: string) => void;
}

type Send = (url: URL, init: RequestInit) => Promise<Response>;

/** A refusal for want of authorisation. */
interface Refusal {
  readonly response: Response;
  /** Whether the token is good, and only does not reach far enough. */
  readonly more: boolean;
}

/**
 * The authorisation for one server: puts its token on requests, and renews it. What needs a person is left to
 * `holdfast auth`, whose tokens are taken from the file they share.
 */
export class HttpAuth {
  readonly #options: HttpAuthOptions;
  #kept: Authorisation = { server: "" };
  #secrets: readonly string[] = [];
  #renewing: Promise<void> | undefined;
  /** Why the last renewal failed, and until when none is tried. */
  #failure: { readonly error: unknown; readonly until: number } | undefined;

  constructor(options: HttpAuthOptions) {
    this.#options = options;
  }

  /** Takes up what is in the file by now. */
  async load(): Promise<void> {
    this.#take(await this.#options.file.read());
  }

  /** Hides the tokens in a text from elsewhere. */
  mask(text: string): string {
    return this.#secrets.reduce((masked, secret) => masked.replaceAll(secret, "***"), text);
  }

  /**
   * Sends a request with the token, and once more with another where that one is refused: nothing was done
   * then. Rejects with a CallError where there is no other. The token goes to the server's own origin only.
   */
  async send(url: URL, init: RequestInit, send: Send): Promise<Response> {
    if (url.origin !== this.#options.server.origin) return send(url, init);
    const used = await this.#current();
    const response = await send(url, withToken(init, used));
    const refusal = refusalOf(response);
    // The end of a session is not worth a renewal.
    if (refusal === undefined || init.method === "DELETE") return response;
    drop(response);
    // A renewed token reaches no farther.
    const renewal = refusal.more ? this.load() : this.#renew(used);
    const failure = await renewal.then(
      () => undefined,
      (error: unknown) => error,
    );
    const token = this.#token;
    if (token === undefined || token === used) throw await this.#refused(refusal, init, failure);
    const second = await send(url, withToken(init, token));
    const again = refusalOf(second);
    if (again === undefined) return second;
    drop(second);
    throw await this.#refused(again, init, undefined);
  }

  get #token(): string | undefined {
    return this.#kept.tokens?.access_token;
  }

  /** The token, renewed where it is about to end. As long as it lasts, nobody waits for that. */
  async #current(): Promise<string | undefined> {
    const { tokens, renewAt = Infinity, expiresAt = Infinity } = this.#kept;
    const at = Date.now();
    if (at >= renewAt && tokens?.refresh_token !== undefined) {
      const done = this.#renew(tokens.access_token).catch(() => {});
      if (at >= expiresAt) await done;
    }
    return this.#token;
  }

  /** Sees to another token than the one that was used. Rejects where that failed for reasons that may pass. */
  #renew(used: string | undefined): Promise<void> {
    if (this.#token !== used) return Promise.resolve();
    return (this.#renewing ??= this.#renewNow(used).finally(() => (this.#renewing = undefined)));
  }

  async #renewNow(used: string | undefined): Promise<void> {
    await this.load();
    if (this.#token !== used || this.#kept.tokens?.refresh_token === undefined) return;
    if (this.#failure !== undefined && now() < this.#failure.until) throw this.#failure.error;
    const { file, server, settings, problem } = this.#options;
    let made: Authorisation | undefined;
    try {
      const next = await file.update(async (kept) => {
        // Another process may have been faster, and its renewal has ended our refresh token.
        if (kept.tokens?.access_token !== used) return kept;
        return (made = await renewed(kept, server, settings));
      });
      this.#take(next);
      this.#failure = undefined;
    } catch (error) {
      if (made === undefined) {
        this.#failure = { error, until: now() + pauseAfterFailure };
        throw error;
      }
      this.#take(made);
      problem(`its token was renewed and cannot be kept: ${messageOf(error)}`);
    }
  }

  /** What a refused request ends with. What the server asked for is kept for `holdfast auth`. */
  async #refused(
    { response, more }: Refusal,
    { method }: RequestInit,
    failure: unknown,
  ): Promise<CallError> {
    const { upstream } = this.#options;
    const { extractWWWAuthenticateParams, computeScopeUnion } = await oauthLibrary();
    const { scope, resourceMetadataUrl: place } = extractWWWAuthenticateParams(response);
    const { tokens, wanted } = this.#kept;
    // What was granted before must not get lost.
    const before = wanted?.more === true ? wanted.scope : undefined;
    const all = more ? computeScopeUnion(before, tokens?.scope, scope) : scope;
    await this.#remember({
      more,
      ...(all !== undefined && { scope: all }),
      ...(place !== undefined && { resourceMetadataUrl: place.href }),
    });
    const command = `run \`holdfast auth ${/^[\w.-]+$/.test(upstream) ? upstream : JSON.stringify(upstream)}\``;
    const words = more
      ? `asks for the scope ${this.#shown(scope)} (HTTP 403): ${command} to grant it`
      : failure !== undefined
        ? `asks for authorisation (HTTP 401), and its token cannot be renewed: ${this.#shown(messageOf(failure))}`
        : this.#token === undefined
          ? `asks for authorisation (HTTP 401): ${command}, or look at the headers that config gives it`
          : `no longer takes its token (HTTP 401): ${command}`;
    // Without authorisation nothing else can be sent either; a stream for notifications alone is no proof of that.
    const code = more || method !== "POST" ? "denied" : "unavailable";
    const status = response.status;
    // It says nothing of the server's health.
    const details = { outcome: "failed", upstream, status, local: true } as const;
    return new CallError(code, `${upstream} ${words}`, details);
  }

  async #remember(wanted: Wanted): Promise<void> {
    const { file, problem } = this.#options;
    const before = this.#kept.wanted;
    // What a token lacks stays known when the token ends.
    const next = before?.more === true && !wanted.more ? { ...before, ...urlOf(wanted) } : wanted;
    if (isDeepStrictEqual(next, before)) return;
    await file
      .update((kept) => ({ ...kept, wanted: next }))
      .then((kept) => this.#take(kept))
      .catch((error: unknown) => problem(`what it asks for cannot be kept: ${messageOf(error)}`));
  }

  #shown(words = "it does not name"): string {
    return JSON.stringify(this.mask(words).slice(0, longestWords));
  }

  #take(kept: Authorisation): void {
    this.#kept = kept;
    const { tokens, client } = kept;
    const secrets = [tokens?.access_token, tokens?.refresh_token, client?.client_secret].filter(
      (value) => value !== undefined,
    );
    const fresh = secrets.filter((value) => !this.#secrets.includes(value));
    if (fresh.length === 0) return;
    this.#secrets = [...fresh, ...this.#secrets].slice(0, mostHidden);
    for (const secret of fresh) this.#options.secret(secret);
  }
}

function withToken(init: RequestInit, token: string | undefined): RequestInit {
  if (token === undefined) return init;
  const headers = new Headers(init.headers);
  headers.set("authorization", `Bearer ${token}`);
  return { ...init, headers };
}

const urlOf = ({ resourceMetadataUrl }: Wanted): Pick<Wanted, "resourceMetadataUrl"> =>
  resourceMetadataUrl === undefined ? {} : { resourceMetadataUrl };

function refusalOf(response: Response): Refusal | undefined {
  if (response.status === 401) return { response, more: false };
  const challenge = response.status === 403 ? response.headers.get("www-authenticate") : null;
  return challenge !== null && /\berror="?insufficient_scope\b/.test(challenge)
    ? { response, more: true }
    : undefined;
}

const drop = (response: Response): void => void response.body?.cancel().catch(() => {});
