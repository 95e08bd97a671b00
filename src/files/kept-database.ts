import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { messageOf, UsageError } from "../errors.ts";
import { makeFolder } from "./make-folder.ts";

const busyMs = 20_000;

export interface KeptDatabaseOptions {
  /** What the file keeps, for messages: `what models measured`. */
  readonly keeps: string;
  /** Four bytes that tell the file from other programs' databases. */
  readonly application: number;
  readonly layout: number;
  /** Statements that create the tables, unless they exist. */
  readonly tables: string;
  /** Statements that bring a file of an earlier layout up to date, by its layout. */
  readonly upgrades?: Readonly<Record<number, string>> | undefined;
}

/** A SQLite file of results that can be made again, shared by processes and runs. Every method throws a UsageError that names the file. */
export class KeptDatabase implements Disposable {
  readonly #path: string;
  readonly #keeps: string;
  readonly #database: DatabaseSync;

  /** Opens the file, and creates it if missing. @throws UsageError when it is something else */
  constructor(path: string, options: KeptDatabaseOptions) {
    this.#path = path;
    this.#keeps = options.keeps;
    this.#database = this.try(() => {
      makeFolder(dirname(path));
      const database = new DatabaseSync(path, { timeout: busyMs });
      createTables(database, options);
      return database;
    });
  }

  prepare(sql: string): StatementSync {
    return this.try(() => this.#database.prepare(sql));
  }

  /** Runs `work`, and tells of a failure with the file's name. */
  try<Value>(work: () => Value): Value {
    try {
      return work();
    } catch (cause) {
      throw new UsageError(
        `${this.#path}: expected the file that keeps ${this.#keeps}, or none, got one that cannot be used (${messageOf(cause)}); move it away, then everything is made again`,
        { cause },
      );
    }
  }

  /** Runs `work` in one transaction. */
  write(work: () => void): void {
    this.try(() => {
      this.#database.exec("begin immediate");
      try {
        work();
        this.#database.exec("commit");
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec("rollback");
        throw error;
      }
    });
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

/** Looks and creates under one lock, so that two processes can begin at once. */
function createTables(
  database: DatabaseSync,
  { application, layout, tables, upgrades = {} }: KeptDatabaseOptions,
): void {
  database.exec("begin immediate");
  const read = (pragma: string) => Object.values(database.prepare(`pragma ${pragma}`).get()!)[0] as number; // a number each
  const isEmpty = database.prepare("select 1 from sqlite_schema").get() === undefined;
  if (!isEmpty && read("application_id") !== application) throw new Error("it is another program's database");
  const found = read("user_version");
  if (!isEmpty && found !== layout) {
    const upgrade = upgrades[found];
    if (upgrade === undefined) throw new Error(`its layout is ${found}, and this version of alpagasus has ${layout}`);
    database.exec(upgrade);
  }
  database.exec(
    `pragma application_id = ${application}; pragma user_version = ${layout}; ${tables}; commit; pragma synchronous = normal`,
  );
}
