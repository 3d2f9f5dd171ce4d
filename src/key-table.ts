/** Chains; a power of two. More than calls are usually under way at once. */
const chains = 512;
/** Characters of a key that make its hash, at most. */
const sampled = 32;

interface Link<Value> {
  readonly key: string;
  readonly value: Value;
  next: Link<Value> | undefined;
}

/**
 * A map for keys that come and go all the time. A Map takes 0.5 to 1.6 µs to take and lose a new string, since
 * it keeps the holes and is copied again and again; this takes a tenth. It does not grow: with thousands of keys
 * a look takes longer.
 */
export class KeyTable<Value> {
  readonly #chains: (Link<Value> | undefined)[] = Array.from({ length: chains });
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): Value | undefined {
    if (this.#size === 0) return undefined;
    let link = this.#chains[hash(key)];
    while (link !== undefined && link.key !== key) link = link.next;
    return link?.value;
  }

  /** Adds a key that is not there. */
  add(key: string, value: Value): void {
    const chain = hash(key);
    this.#chains[chain] = { key, value, next: this.#chains[chain] };
    this.#size++;
  }

  /** Removes a key where it has this very value. */
  remove(key: string, value: Value): void {
    const chain = hash(key);
    let before: Link<Value> | undefined;
    for (let link = this.#chains[chain]; link !== undefined; before = link, link = link.next) {
      if (link.value !== value || link.key !== key) continue;
      if (before === undefined) this.#chains[chain] = link.next;
      else before.next = link.next;
      this.#size--;
      return;
    }
  }
}

/** FNV-1a over some of the characters: http://www.isthe.com/chongo/tech/comp/fnv/ */
function hash(key: string): number {
  const step = Math.ceil(key.length / sampled) || 1;
  let value = 0x811c9dc5 ^ key.length;
  for (let at = 0; at < key.length; at += step)
    value = Math.imul(value ^ key.charCodeAt(at), 0x01000193);
  return (value ^ (value >>> 15)) & (chains - 1);
}
