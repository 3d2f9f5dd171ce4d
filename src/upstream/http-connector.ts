/*
 * Servers that are reached by HTTP: a module to be imported with `import()`, since many a config has none.
 */
import type { Connect } from "./connection.ts";
import type { ConnectorOptions } from "./connector.ts";
import { HttpAuth } from "./http-auth.ts";
import type { HttpAddress } from "./http-target.ts";
import { connectHttp } from "./http.ts";
import { OAuthFile } from "./oauth-file.ts";

/** How to connect to a server by HTTP. */
export function httpConnector(
  upstream: string,
  address: HttpAddress,
  {
    asked,
    authFolder,
    secret,
    ...events
  }: Omit<ConnectorOptions, "environment" | "records" | "mask">,
): Connect {
  const { oauth = {} } = address;
  let auth: HttpAuth | undefined;
  return (timeoutMs, abandon, known) => {
    // Not before: the address of a server that is never started may be none.
    if (oauth !== false)
      auth ??= new HttpAuth({
        upstream,
        server: new URL(address.url),
        settings: oauth,
        file: authFile(authFolder, address),
        secret,
        problem: events.problem,
      });
    return connectHttp(upstream, address, { ...events, asked, auth, known }, timeoutMs, abandon);
  };
}

/** Where the authorisation for a remote server is kept. */
export const authFile = (folder: string, { url, oauth }: HttpAddress): OAuthFile =>
  new OAuthFile(folder, url, oauth ? (oauth.clientId ?? oauth.clientMetadataUrl) : undefined);
