/** A bearer token that is let in, as its hash. */
export interface Token {
  /** Under which its bearer is known. */
  readonly principal: string;
  /** SHA-256 of the token. */
  readonly sha256: Buffer;
}

/** Who is let in. */
export interface Access {
  /** The address that is listened on. */
  readonly host: string;
  /** Names of hosts, each with a port or for any. */
  readonly allowedHosts: readonly string[];
  /** Such as `https://app.example.com`. */
  readonly allowedOrigins: readonly string[];
  /** None: everybody is let in who reaches it. */
  readonly tokens: readonly Token[];
}

/** What one client may ask for. */
export interface HttpLimits {
  /** Bytes of one request's body. */
  readonly maxBodyBytes: number;
  /** Messages in one body. */
  readonly maxBatch: number;
  readonly maxSessions: number;
  /** Requests of one session that wait for their answers. */
  readonly maxInFlight: number;
  /** Milliseconds after which a session is ended that has no request under way and no open stream. */
  readonly sessionIdleMs: number;
  /** Bytes of what was sent on its streams that a session keeps, to send it again. */
  readonly replayBytes: number;
  /** Bytes of large answers that all clients together may leave unread. */
  readonly maxUnreadBytes: number;
  /** Milliseconds for a request to arrive in full. */
  readonly requestTimeoutMs: number;
  /** Milliseconds between two signs of life on a stream on which nothing else is sent. */
  readonly keepAliveMs: number;
}

/** All that the HTTP front is told. */
export interface HttpOptions extends Access, HttpLimits {
  /** 0: any that is free. */
  readonly port: number;
}
