import postgres from "postgres";

export interface PostgresServer {
  readonly url: string;
  /** Runs statements as the server's owner. */
  run(sql: string): Promise<void>;
}

const url = process.env["DATABASE_URL"] ?? "postgres://postgres@127.0.0.1:5432/test";

/**
 * The PostgreSQL server for tests, at `DATABASE_URL`. Where there is none: undefined and one line that says so,
 * or with `HOLDFAST_REQUIRE_SERVICES` a failure.
 */
export async function postgresHere(): Promise<PostgresServer | undefined> {
  try {
    await run("SELECT 1");
    return { url, run };
  } catch (error) {
    const line = `no PostgreSQL server at DATABASE_URL: ${String(error)}`;
    if (process.env["HOLDFAST_REQUIRE_SERVICES"] !== undefined)
      throw new Error(line, { cause: error });
    process.stderr.write(`${line}; its tests are skipped\n`);
    return undefined;
  }
}

async function run(sql: string): Promise<void> {
  const client = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => {} });
  try {
    await client.unsafe(sql);
  } finally {
    await client.end({ timeout: 1 });
  }
}
