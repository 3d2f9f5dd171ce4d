/** How a remote server is authorised, as config has it. */
export interface OAuthSettings {
  readonly clientId?: string;
  readonly clientSecret?: string;
  readonly issuer?: string;
  readonly clientMetadataUrl?: string;
  /** Separated by spaces. */
  readonly scopes?: string;
  readonly callbackPort?: number;
}
