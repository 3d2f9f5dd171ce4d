import type * as z from "zod";
import type { OAuthSettings } from "../oauth-settings.ts";
import type { cursorAuth, oauthOptions } from "./oauth-options.ts";

/** What `oauth` and `auth` of a server say together; undefined where they say nothing. `oauth` wins. */
export function oauthConfig(
  oauth: false | z.output<typeof oauthOptions> | undefined,
  auth: z.output<typeof cursorAuth> | undefined,
  fill: (text: string, place: string) => string,
): false | OAuthSettings | undefined {
  if (oauth === false) return false;
  if (oauth === undefined && auth === undefined) return undefined;
  const { scope, scopes: asked = scope, callbackPort, ...texts } = oauth ?? {};
  const { CLIENT_ID: clientId, CLIENT_SECRET: clientSecret, scopes: more } = auth ?? {};
  const wanted = asked ?? more;
  const given = {
    ...(clientId !== undefined && { clientId: fill(clientId, "auth.CLIENT_ID") }),
    ...(clientSecret !== undefined && { clientSecret: fill(clientSecret, "auth.CLIENT_SECRET") }),
    ...Object.fromEntries(
      Object.entries(texts).map(([key, value]) => [key, fill(value, `oauth.${key}`)]),
    ),
    ...(wanted !== undefined && { scopes: [wanted].flat().join(" ") }),
    ...(callbackPort !== undefined && { callbackPort }),
  };
  return given;
}
