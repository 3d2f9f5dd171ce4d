/** A resource of an upstream, and the URI under which a client subscribed to it. */
interface Subscription {
  readonly upstream: string;
  readonly uri: string;
  readonly clientUri: string;
}

/** The resources that one client subscribed to. */
export class Subscribed {
  readonly #subscriptions = new Map<string, Subscription>();

  /** Answers how to put things back as they were. */
  add(upstream: string, uri: string, clientUri: string): () => void {
    const key = keyOf(upstream, uri);
    const before = this.#subscriptions.get(key);
    this.#subscriptions.set(key, { upstream, uri, clientUri });
    return () => {
      if (before === undefined) this.#subscriptions.delete(key);
      else this.#subscriptions.set(key, before);
    };
  }

  remove(upstream: string, uri: string): void {
    this.#subscriptions.delete(keyOf(upstream, uri));
  }

  /** The client's URI for a resource of an upstream that it subscribed to, itself or what it is a part of. */
  as(upstream: string, uri: unknown): string | undefined {
    if (typeof uri !== "string") return undefined;
    const whole = this.#subscriptions.get(keyOf(upstream, uri));
    if (whole !== undefined) return whole.clientUri;
    for (const one of this.#subscriptions.values())
      if (one.upstream === upstream && isPart(uri, one.uri))
        return `${one.clientUri}${uri.slice(one.uri.length)}`;
    return undefined;
  }
}

const keyOf = (upstream: string, uri: string): string => JSON.stringify([upstream, uri]);

/** Whether a URI is under another, as `file:///a/b`, `file:///a?b` and `file:///a#b` are under `file:///a`. */
const isPart = (uri: string, whole: string): boolean =>
  uri.startsWith(whole) && (whole.endsWith("/") || /^[/?#]/.test(uri.slice(whole.length)));
