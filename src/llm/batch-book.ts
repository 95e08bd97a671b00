import type { SQLOutputValue } from "node:sqlite";

/*
 * Which calls are in batches at a provider: a part of the call store. A batch is written here before it is handed in, so
 * that no call can be handed in, or asked directly, a second time, whatever is killed when.
 */

export const batchTables = `
create table if not exists batches (
  id text primary key,
  model text not null,
  purse text not null,
  owner text not null,
  provider_id text,
  calls integer not null,
  begun_at integer not null,
  ended_at integer,
  detail text
) strict, without rowid;
create table if not exists batch_calls (
  key text primary key,
  batch text not null,
  purse text not null,
  reserved integer not null,
  prompt_bytes integer not null
) strict, without rowid;
create index if not exists batch_calls_by_batch on batch_calls (batch);
`;

/** A batch that has not been fetched whole yet. */
export interface OpenBatch {
  readonly id: string;
  readonly model: string;
  readonly purse: string;
  /** What the provider calls it; null while it is being handed in, or when whoever did that was killed before it was known. */
  readonly providerId: string | null;
  /** Calls that were handed in, and those of them without an outcome yet. */
  readonly calls: number;
  readonly left: number;
  /** What those may cost at most, in billionths of a US dollar. */
  readonly reserved: number;
  /** Milliseconds since 1970. */
  readonly begunAt: number;
  /** Who hands it in. */
  readonly owner: string;
}

/** A call as it is put into a batch. */
export interface BatchCall {
  readonly key: string;
  /** The most that it can cost, in billionths of a US dollar. */
  readonly reserved: number;
  readonly promptBytes: number;
}

/** What the book needs of the store's database. */
interface Statements {
  run(sql: string, ...values: (string | number | null)[]): number;
  all(sql: string, ...values: (string | number | null)[]): Record<string, SQLOutputValue>[];
}

export class BatchBook {
  readonly #statements: Statements;
  readonly #owner: string;

  /** @param owner the process, as the store knows it */
  constructor(statements: Statements, owner: string) {
    this.#statements = statements;
    this.#owner = owner;
  }

  /** Whether any call is in a batch. */
  get isEmpty(): boolean {
    return this.#statements.all("select 1 from batch_calls limit 1").length === 0;
  }

  /** The batch that a call is in. */
  batchOf(key: string): string | undefined {
    return this.#statements.all("select batch from batch_calls where key = ?", key)[0]?.["batch"] as string | undefined; // by the table's type
  }

  /** Writes down a batch that is to be handed in. */
  begin(id: string, model: string, purse: string, calls: readonly BatchCall[]): void {
    this.#statements.run(
      "insert into batches (id, model, purse, owner, calls, begun_at) values (?, ?, ?, ?, ?, ?)",
      id,
      model,
      purse,
      this.#owner,
      calls.length,
      Date.now(),
    );
    for (const { key, reserved, promptBytes } of calls)
      this.#statements.run("insert into batch_calls values (?, ?, ?, ?, ?)", key, id, purse, reserved, promptBytes);
  }

  /** It was handed in, and the provider calls it so. */
  handedIn(id: string, providerId: string): void {
    this.#statements.run("update batches set provider_id = ? where id = ?", providerId, id);
  }

  /** Batches with calls that have no outcome yet, the oldest first. @param model only its batches */
  open(model?: string): OpenBatch[] {
    return this.#statements
      .all(
        `select b.*, count(c.key) as remaining, total(c.reserved) as reserved from batches b left join batch_calls c on c.batch = b.id
          where b.ended_at is null ${model === undefined ? "" : "and b.model = ?"} group by b.id order by b.begun_at`,
        ...(model === undefined ? [] : [model]),
      )
      .map((row) => ({
        id: String(row["id"]),
        model: String(row["model"]),
        purse: String(row["purse"]),
        providerId: row["provider_id"] === null ? null : String(row["provider_id"]),
        calls: Number(row["calls"]),
        left: Number(row["remaining"]),
        reserved: Number(row["reserved"]),
        begunAt: Number(row["begun_at"]),
        owner: String(row["owner"]),
      }));
  }

  /** Whether a batch of the provider's is one of ours. */
  knows(providerId: string): boolean {
    return this.#statements.all("select 1 from batches where provider_id = ?", providerId).length > 0;
  }

  /** Takes a call out of its batch, since it has its outcome now; undefined when somebody else has taken it. */
  take(id: string, key: string): BatchCall | undefined {
    const [row] = this.#statements.all("delete from batch_calls where key = ? and batch = ? returning *", key, id);
    return row && readCall(row);
  }

  /** The batch is over: gives its calls that have no outcome, which can be asked again. */
  end(id: string, detail: string | null): BatchCall[] {
    const left = this.#statements.all("delete from batch_calls where batch = ? returning *", id);
    this.#statements.run("update batches set ended_at = ?, detail = ? where id = ?", Date.now(), detail, id);
    return left.map(readCall);
  }

  /** Money that is reserved for calls in batches. */
  reserved(purse: string): number {
    const [row] = this.#statements.all("select total(reserved) as reserved from batch_calls where purse = ?", purse);
    return Number(row?.["reserved"] ?? 0);
  }
}

function readCall(row: Record<string, SQLOutputValue>): BatchCall {
  return { key: String(row["key"]), reserved: Number(row["reserved"]), promptBytes: Number(row["prompt_bytes"]) };
}
