import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isLoopback } from "../loopback.ts";
import type { Access } from "./http-options.ts";
import { refusal, type Refusal } from "./http-reply.ts";

/** Who asks. */
export interface Admitted {
  readonly principal: string;
  /** What a browser has to be told so that its page may read the answer. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Where no token is asked for. */
const anybody = "local";

const hostPattern = /^(\[[\da-f:.]+\]|[^:[\]/@\s]+)(?::\d{1,5})?$/i;
const bearerPattern = /^bearer +(\S+) *$/i;

const alwaysAllowed =
  "authorization, content-type, last-event-id, mcp-method, mcp-name, mcp-protocol-version, mcp-session-id";
/** Headers that repeat arguments have the names that tools give them. */
const ofArgument = /^mcp-param-[\w!#$%&'*+.^`|~-]+$/i;

/** What a page of an allowed origin may send, and read. */
const preflight = {
  "access-control-allow-methods": "GET, POST, DELETE",
  "access-control-max-age": "600",
};

/**
 * Decides by its headers who a request comes from, and whether it is let in. A page that a browser has loaded
 * from elsewhere is not: neither by its Origin, nor by a name of its own for our address, which shows in Host.
 */
export class Guard {
  readonly #access: Access;
  readonly #isLocal: boolean;

  constructor(access: Access) {
    this.#access = access;
    this.#isLocal = isLoopback(access.host);
  }

  admit(headers: IncomingHttpHeaders): Admitted | Refusal {
    const { origin } = headers;
    if (!this.#isHost(headers.host ?? ""))
      return refusal(403, "Forbidden: the Host header names no host that is served here");
    if (origin !== undefined && !this.#isOrigin(origin))
      return refusal(403, "Forbidden: requests from pages of this Origin are not let in");
    const cors = this.#cors(origin);
    const principal = this.#principal(headers.authorization);
    return typeof principal === "string"
      ? { principal, headers: cors }
      : { ...principal, headers: { ...principal.headers, ...cors } };
  }

  /** The answer to a browser that asks whether a page may; undefined where it may not. */
  preflight({ host, origin, ...headers }: IncomingHttpHeaders): Record<string, string> | undefined {
    const cors = this.#cors(origin);
    if (cors["access-control-allow-origin"] === undefined || !this.#isHost(host ?? ""))
      return undefined;
    const wanted = headers["access-control-request-headers"]?.split(",") ?? [];
    const params = wanted.map((name) => name.trim()).filter((name) => ofArgument.test(name));
    return {
      ...cors,
      ...preflight,
      "access-control-allow-headers": [alwaysAllowed, ...params].join(", "),
    };
  }

  #isHost(host: string): boolean {
    const name = hostPattern.exec(host)?.[1]?.toLowerCase();
    if (name === undefined) return false;
    const { allowedHosts } = this.#access;
    if (this.#isLocal ? isLoopback(name) : allowedHosts.length === 0) return true;
    return allowedHosts.some((one) => one === name || one === host.toLowerCase());
  }

  #isOrigin(origin: string): boolean {
    if (this.#access.allowedOrigins.includes(origin)) return true;
    return this.#isLocal && URL.canParse(origin) && isLoopback(new URL(origin).hostname);
  }

  #cors(origin = ""): Record<string, string> {
    if (!this.#access.allowedOrigins.includes(origin)) return {};
    return {
      "access-control-allow-origin": origin,
      "access-control-expose-headers": "mcp-session-id, www-authenticate",
      vary: "origin",
    };
  }

  /** Whether anybody is known, or may be, by that name. */
  knows(principal: string): boolean {
    const { tokens } = this.#access;
    return tokens.length === 0
      ? this.#isLocal && principal === anybody
      : tokens.some((token) => token.principal === principal);
  }

  /** Every token is compared, whichever fits, so that the time taken tells nothing. */
  #principal(authorization: string | undefined): string | Refusal {
    const { tokens } = this.#access;
    // Beyond this machine there is no listening without tokens, but config may lose them later.
    if (tokens.length === 0 && this.#isLocal) return anybody;
    const given = bearerPattern.exec(authorization ?? "")?.[1];
    if (given === undefined) return unauthorized("a bearer token is needed", "");
    const hash = createHash("sha256").update(given).digest();
    let found: string | undefined;
    for (const { principal, sha256 } of tokens)
      if (timingSafeEqual(hash, sha256)) found ??= principal;
    return found ?? unauthorized("the token is not known", ', error="invalid_token"');
  }
}

const unauthorized = (why: string, error: string): Refusal =>
  refusal(401, `Unauthorized: ${why}`, {
    headers: { "www-authenticate": `Bearer realm="holdfast"${error}` },
  });
