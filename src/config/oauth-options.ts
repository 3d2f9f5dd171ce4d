import * as z from "zod";

const text = z.string().min(1);
const scopes = z.union([z.string(), z.array(z.string())]);

/** How a remote server is authorised, where the defaults do not fit. */
export const oauthOptions = z
  .object({
    clientId: text
      .exactOptional()
      .describe(
        "Id of a client that was registered beforehand. Default: Holdfast registers itself with the server's authorization server.",
      ),
    clientSecret: text.exactOptional().describe("Secret of that client, if it has one."),
    issuer: text
      .exactOptional()
      .describe(
        "The authorization server that clientId belongs to; no other is ever used. Default: the first one that the server names.",
      ),
    clientMetadataUrl: text
      .exactOptional()
      .describe(
        "https address of a client id metadata document, used as the client's id where the authorization server takes those.",
      ),
    scopes: scopes
      .exactOptional()
      .describe(
        "Scopes to ask for, as a list or as one text. Default: those that the server names.",
      ),
    scope: text.exactOptional().describe("Another name of scopes."),
    callbackPort: z
      .int()
      .min(1)
      .max(65_535)
      .exactOptional()
      .describe(
        "Port of http://localhost:PORT/callback, to which the browser comes back. Default: http://127.0.0.1:PORT/callback with a port that is free.",
      ),
  })
  .describe("How the remote server is authorised.");

/** The same as Cursor has it. */
export const cursorAuth = z
  .object({
    CLIENT_ID: text.exactOptional().describe("Another name of oauth.clientId."),
    CLIENT_SECRET: text.exactOptional().describe("Another name of oauth.clientSecret."),
    scopes: scopes.exactOptional().describe("Another name of oauth.scopes."),
  })
  .describe("Another name of oauth, with the keys of Cursor.");
