import { CallError } from "../errors.ts";
import type { HttpAuth } from "./http-auth.ts";
import type { OAuthSettings } from "../oauth-settings.ts";

/** How a server is reached by HTTP. */
export interface HttpAddress {
  readonly kind: "http" | "sse";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** false: no authorisation is asked for; undefined: with the defaults. */
  readonly oauth?: false | OAuthSettings;
}

/** What is shorter is no secret, and hiding it would make messages unreadable. */
const shortestSecret = 4;
/** Parts of a path from this many characters on may be tokens, as hosted servers give them out. */
const shortestSecretPart = 16;

/** Where a server is, and what of that is told to nobody. */
export class HttpTarget {
  readonly upstream: string;
  /** Without user name and password, which are sent as a header. */
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Whether config itself gives credentials: in a header Authorization, or in the url. */
  readonly givesCredentials: boolean;
  /** undefined where config gives the credentials, or wants none. */
  readonly auth: HttpAuth | undefined;
  readonly #secrets: readonly string[];

  /** Throws a CallError for a header that cannot be sent. */
  constructor(upstream: string, { url, headers }: HttpAddress, auth?: HttpAuth) {
    this.upstream = upstream;
    this.url = new URL(url);
    const { username, password } = this.url;
    this.url.username = this.url.password = "";
    const basic = username === "" && password === "" ? {} : basicHeader(username, password);
    // Names are compared as HTTP does, and what config gives wins.
    const given = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
    this.headers = given.has("authorization") ? headers : { ...basic, ...headers };
    for (const [name, value] of Object.entries(this.headers)) check(upstream, name, value);
    this.givesCredentials = given.has("authorization") || "Authorization" in basic;
    this.auth = this.givesCredentials ? undefined : auth;
    const secrets = [
      ...Object.values(this.headers).flatMap((value) => [value, value.split(" ").at(-1) ?? ""]),
      ...[...this.url.searchParams.values()].flatMap((value) => [value, encodeURIComponent(value)]),
      ...this.url.pathname.split("/").filter((part) => part.length >= shortestSecretPart),
      password,
      plain(password),
    ];
    this.#secrets = secrets
      .filter((secret) => secret.length >= shortestSecret)
      .toSorted((a, b) => b.length - a.length);
  }

  /**
   * Text from elsewhere, without anything of the headers, of the query, or of what looks like a token in the path,
   * and without the tokens of its authorisation.
   */
  readonly mask = (text: string): string => {
    const masked = this.#secrets.reduce((rest, secret) => rest.replaceAll(secret, "***"), text);
    return this.auth?.mask(masked) ?? masked;
  };
}

function check(upstream: string, name: string, value: string): void {
  try {
    new Headers().set(name, value);
  } catch {
    // The platform's message quotes the value.
    throw new CallError(
      "unavailable",
      `${upstream} cannot be reached: the header ${JSON.stringify(name)} cannot be sent (expected a name of letters, digits and hyphens, and a value without line breaks and without characters beyond Latin-1)`,
      { outcome: "failed", upstream },
    );
  }
}

const basicHeader = (username: string, password: string): Record<string, string> => ({
  Authorization: `Basic ${Buffer.from(`${plain(username)}:${plain(password)}`).toString("base64")}`,
});

/** Percent-encoded text as it is meant; as it is where it is not well encoded. */
function plain(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
