import type { Freshness, JsonObject, Lists } from "../call.ts";
import { now } from "../time.ts";

/** For how long a server's lists may be taken for fresh, by what their pages say. */
export class ListFreshness {
  /** Until when, in the time of `now()`, and for whom. */
  readonly #lists = new Map<keyof Lists, { until: number; cacheScope: Freshness["cacheScope"] }>();

  /** A list is fetched anew. */
  begin(list: keyof Lists): void {
    this.#lists.delete(list);
  }

  /** Takes a page. Of all pages the least counts; what does not say is stale at once, and one user's. */
  page(list: keyof Lists, { ttlMs, cacheScope }: JsonObject): void {
    const before = this.#lists.get(list);
    const own = typeof ttlMs === "number" && ttlMs > 0 ? now() + ttlMs : now();
    const isPublic = cacheScope === "public" && before?.cacheScope !== "private";
    this.#lists.set(list, {
      until: Math.min(own, before?.until ?? Infinity),
      cacheScope: isPublic ? "public" : "private",
    });
  }

  /** What is left of it; undefined where nothing is known of the list. */
  of(list: keyof Lists): Freshness | undefined {
    const found = this.#lists.get(list);
    if (found === undefined) return undefined;
    const { until, cacheScope } = found;
    return { ttlMs: Math.max(0, Math.floor(until - now())), cacheScope };
  }
}
