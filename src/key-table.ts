/** Chains at first, a power of two, and how long they are on average before there are twice as many. */
const fewest = 16;
const longest = 4;
/** Characters of a key that make its hash, at most. */
const sampled = 32;

interface Link<Key, Value> {
  readonly key: Key;
  readonly value: Value;
  next: Link<Key, Value> | undefined;
}

/**
 * A map for keys that come and go all the time, such as those of calls under way. It keeps no order.
 *
 * A Map takes 0.5 to 1.6 µs to take and lose a new string, since it keeps the holes and is copied again and
 * again; this takes a tenth. And each copy of a Map refers to the next, for the sake of iterators: once one of
 * them has grown old, the garbage collector takes all that come after it, and the calls in them, for alive until
 * the whole heap is collected. Calls then cost twice as much.
 */
export class KeyTable<Key extends string | number, Value> {
  #chains: (Link<Key, Value> | undefined)[] = Array.from({ length: fewest });
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Of a key that was added twice, the later value. */
  get(key: Key): Value | undefined {
    if (this.#size === 0) return undefined;
    let link = this.#chains[this.#place(key)];
    while (link !== undefined && link.key !== key) link = link.next;
    return link?.value;
  }

  add(key: Key, value: Value): void {
    if (this.#size >= longest * this.#chains.length) this.#grow();
    const place = this.#place(key);
    this.#chains[place] = { key, value, next: this.#chains[place] };
    this.#size++;
  }

  /** Removes a key where it has this very value. */
  remove(key: Key, value: Value): void {
    const place = this.#place(key);
    let before: Link<Key, Value> | undefined;
    for (let link = this.#chains[place]; link !== undefined; before = link, link = link.next) {
      if (link.value !== value || link.key !== key) continue;
      if (before === undefined) this.#chains[place] = link.next;
      else before.next = link.next;
      this.#size--;
      return;
    }
  }

  /** What is there when it is asked for. */
  entries(): [Key, Value][] {
    const found: [Key, Value][] = [];
    for (const first of this.#chains)
      for (let link = first; link !== undefined; link = link.next)
        found.push([link.key, link.value]);
    return found;
  }

  values(): Value[] {
    return this.entries().map(([, value]) => value);
  }

  #place(key: Key): number {
    return (typeof key === "number" ? key : hash(key)) & (this.#chains.length - 1);
  }

  #grow(): void {
    const all = this.entries();
    this.#chains = Array.from({ length: 2 * this.#chains.length });
    this.#size = 0;
    // The later of two values of a key is first in its chain, and has to be again.
    for (const [key, value] of all.toReversed()) this.add(key, value);
  }
}

/** FNV-1a over some of the characters: http://www.isthe.com/chongo/tech/comp/fnv/ */
function hash(key: string): number {
  const step = Math.ceil(key.length / sampled) || 1;
  let value = 0x811c9dc5 ^ key.length;
  for (let at = 0; at < key.length; at += step)
    value = Math.imul(value ^ key.charCodeAt(at), 0x01000193);
  return value ^ (value >>> 15);
}
