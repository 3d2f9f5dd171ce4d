import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { settlesWithin } from "../time.ts";

const path = "/callback";

/** Where a browser comes back to, on this machine. */
export class OAuthCallback {
  /** As the authorization server is told. */
  readonly redirectUrl: string;
  readonly #server: Server;
  #state: string | undefined;
  #answered = (_answer: URLSearchParams): void => {};

  private constructor(server: Server, redirectUrl: string) {
    this.redirectUrl = redirectUrl;
    this.#server = server;
    server.on("request", ({ url = "", method }, response: ServerResponse) => {
      // Anything on this machine can send what is no address at all.
      const { pathname, searchParams } = new URL(
        URL.canParse(url, redirectUrl) ? url : "/",
        redirectUrl,
      );
      if (pathname !== path || method !== "GET")
        return reply(response, 404, "There is nothing here.");
      if (this.#state === undefined || searchParams.get("state") !== this.#state)
        return reply(
          response,
          400,
          "This is not what Holdfast waits for. Begin again with holdfast auth.",
        );
      this.#state = undefined;
      this.#answered(searchParams);
      reply(response, 200, "Holdfast has got the answer. You can close this page.");
    });
  }

  /**
   * Listens on 127.0.0.1: on `port`, as `localhost`, where it is given; else on one of `preferred`, or any that
   * is free. Rejects where `port` is taken.
   */
  static async listen(port: number | undefined, preferred: number | undefined) {
    if (port !== undefined)
      return new OAuthCallback(await listening(port), `http://localhost:${port}${path}`);
    const server = await listening(preferred ?? 0).catch(() => listening(0));
    const { port: found } = server.address() as AddressInfo;
    return new OAuthCallback(server, `http://127.0.0.1:${found}${path}`);
  }

  /** The parameters with which the browser comes back; others than with `state` are refused. */
  answer(state: string): Promise<URLSearchParams> {
    this.#state = state;
    return new Promise((resolve) => (this.#answered = resolve));
  }

  /** Settles when no connection is left, at the latest after a second. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    // Browsers open connections ahead.
    if (!(await settlesWithin(closed, 1000))) this.#server.closeAllConnections();
  }
}

const listening = (port: number): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });

/** Nothing of the request is in it. */
function reply(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-store",
    connection: "close",
  });
  response.end(`${text}\n`);
}
