/** One message that was sent on a stream, or is to be. */
export interface Sent {
  readonly stream: number;
  /** Grows with each message of the session. */
  readonly number: number;
  readonly line: string;
}

/** Messages that are kept at most, however small they are. */
const mostKept = 10_000;

/** What one session was sent on its streams, the newest of it, so that it can be sent again. */
export class SentLog {
  readonly #maxBytes: number;
  readonly #kept = new Map<number, Sent>();
  #length = 0;
  #last = 0;

  /** `maxBytes` counts the characters of messages. The newest is kept whatever its size, until it was taken. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Keeps a message. */
  add(stream: number, line: string): Sent {
    const sent = { stream, number: ++this.#last, line };
    this.#kept.set(sent.number, sent);
    this.#length += line.length;
    for (const oldest of this.#kept.values()) {
      const isFull = this.#length > this.#maxBytes || this.#kept.size > mostKept;
      if (!isFull || oldest === sent) break;
      this.#forget(oldest);
    }
    return sent;
  }

  /** A client's connection has taken the message of that number whole: one that is too large is not kept for longer. */
  taken(number: number): void {
    const sent = this.#kept.get(number);
    if (sent !== undefined && sent.line.length > this.#maxBytes) this.#forget(sent);
  }

  #forget({ number, line }: Sent): void {
    this.#kept.delete(number);
    this.#length -= line.length;
  }

  /** The number that the next message will be above. */
  get last(): number {
    return this.#last;
  }

  /** What is kept of a stream after the message of that number, in order. */
  after(stream: number, number: number): Sent[] {
    return [...this.#kept.values()].filter(
      (sent) => sent.stream === stream && sent.number > number,
    );
  }
}
