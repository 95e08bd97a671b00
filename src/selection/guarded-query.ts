import type { DuckDBConnection } from "@duckdb/node-api";
import { abandonDuckDb } from "../dataset/duckdb.ts";
import { UsageError } from "../errors.ts";

const mostBytes = 2 * 1024 ** 3; // of memory, beside what was in use before
const mostMinutes = 10;
const lookMs = 200;

export interface GuardOptions {
  /** The option that the SQL is of, for messages. */
  readonly option: string;
  /** The user's part of the query. */
  readonly sql: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a query with SQL of the user's. DuckDB's own limit of memory does not count what functions make of a single value, and within one it
 * cannot be interrupted: beyond a limit, or when the user interrupts, its result is not waited for.
 *
 * @throws UsageError when it takes too much memory or time; what the signal was aborted with; other errors are DuckDB's
 */
export async function runGuarded(
  connection: DuckDBConnection,
  query: string,
  { option, sql, signal }: GuardOptions,
): Promise<Awaited<ReturnType<DuckDBConnection["run"]>>> {
  signal?.throwIfAborted();
  const stopped = Promise.withResolvers<never>();
  let isStopped = false;
  const stop = (error: unknown): void => {
    isStopped = true;
    connection.interrupt();
    stopped.reject(error);
  };
  const refuse = (least: string) =>
    stop(
      new UsageError(
        `${option}: expected SQL that takes at most ${least}, got one that takes more: ${sql.slice(0, 200)}`,
      ),
    );
  const before = process.memoryUsage.rss();
  const startedAt = performance.now();
  const watch = setInterval(() => {
    if (process.memoryUsage.rss() - before > mostBytes) refuse(`${mostBytes / 1024 ** 3} GB of memory`);
    else if (performance.now() - startedAt > mostMinutes * 60_000) refuse(`${mostMinutes} minutes`);
  }, lookMs);
  const onAbort = () => stop(signal!.reason);
  signal?.addEventListener("abort", onAbort);
  try {
    const running = connection.run(query);
    running.catch(() => {}); // it may end after it is given up
    return await Promise.race([running, stopped.promise]);
  } finally {
    clearInterval(watch);
    signal?.removeEventListener("abort", onAbort);
    if (isStopped) abandonDuckDb(connection);
  }
}
