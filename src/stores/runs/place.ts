import { join, resolve } from "node:path";
import { StoreFailed } from "../../workflows/run-store.ts";
import type { Database } from "./database.ts";

/** Where runs are kept. */
export type Place =
  | { readonly kind: "sqlite"; readonly file: string; readonly ownFolder: boolean }
  | { readonly kind: "postgres"; readonly url: string; readonly schema: string };

/** `where` is `sqlite` (`runs.db` in `folder`), `sqlite:FILE` or the URL of a PostgreSQL database. Throws StoreFailed. */
export function placeOf(where: string, folder: string, schema: string): Place {
  if (where === "sqlite") return { kind: "sqlite", file: join(folder, "runs.db"), ownFolder: true };
  if (/^sqlite:./s.test(where))
    return { kind: "sqlite", file: resolve(where.slice("sqlite:".length)), ownFolder: false };
  if (/^postgres(?:ql)?:\/\//.test(where)) return { kind: "postgres", url: where, schema };
  throw new StoreFailed(
    "runs can be kept in `sqlite`, `sqlite:FILE` or at a URL that begins with `postgres://`",
  );
}

/** Loads no more of the libraries than it needs. */
export async function databaseAt(place: Place): Promise<Database> {
  if (place.kind === "postgres") {
    const { PostgresDatabase } = await import("./postgres.ts");
    return new PostgresDatabase(place.url, place.schema);
  }
  const { SqliteDatabase } = await import("./sqlite.ts");
  return new SqliteDatabase(place);
}
