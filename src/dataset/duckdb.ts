import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";

/**
 * Opens a fresh in-memory DuckDB that keeps the order of rows and has a fixed memory limit. Loaded on first use, since
 * only Parquet and `--where` need it. Closed when its handle is disposed.
 */
export async function openDuckDb(): Promise<{ connection: DuckDBConnection } & AsyncDisposable> {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const database = await DuckDBInstance.create(":memory:", {
    threads: "1", // each thread holds a Parquet row group in memory
    memory_limit: "256MB", // beyond it, sorts and tables spill to disk
    preserve_insertion_order: "true",
    temp_directory: join(tmpdir(), `alpagasus-duckdb-${randomUUID()}`), // made when memory is short, removed at the end
  });
  const connection = await database.connect();
  await connection.run("SET streaming_buffer_size = '64KB'");
  return {
    connection,
    [Symbol.asyncDispose]: async () => {
      if (abandoned.has(connection)) return; // closing would wait for its query
      connection.closeSync();
      database.closeSync();
    },
  };
}

const abandoned = new WeakSet<DuckDBConnection>();
let isAnyAbandoned = false;

/** Leaves a database to its query, which cannot be stopped: it is not closed, and goes away with the process. */
export function abandonDuckDb(connection: DuckDBConnection): void {
  abandoned.add(connection);
  isAnyAbandoned = true;
}

/** Whether a query may still run that nobody waits for. */
export function hasAbandonedDuckDb(): boolean {
  return isAnyAbandoned;
}

/** A column for positions of rows, by a name that no data has; between double quotes in SQL. */
export const rowIndex = '"alpagasus: row index"';

/** A text as an SQL string literal. */
export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A file name as an SQL literal in which `*`, `?` and brackets stand for themselves, not for a pattern. */
export function sqlPath(path: string): string {
  return sqlText(path.replace(/[*?[\]]/g, "[$&]"));
}

/** A column's name as an SQL identifier. */
export function sqlName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
