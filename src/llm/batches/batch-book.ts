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
  detail text,
  sent_at integer,
  looked_at integer,
  account text,
  price text,
  problem text
) strict, without rowid;
create table if not exists batch_calls (
  key text primary key,
  batch text not null,
  purse text not null,
  reserved integer not null,
  prompt_bytes integer not null
) strict, without rowid;
create index if not exists batch_calls_by_batch on batch_calls (batch);
create table if not exists batch_rounds (key text primary key, times integer not null, detail text not null) strict, without rowid;
`;

/** What a store of layout 2 lacks. */
export const batchColumnsSince3 = [
  "sent_at integer",
  "looked_at integer",
  "account text",
  "price text",
  "problem text",
];

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
  /** When the request that makes it was sent, by the provider's clock where that was known, else 0; null when it was not sent yet. */
  readonly sentAt: number | null;
  /** The provider's clock when it was first not found in the provider's list. */
  readonly lookedAt: number | null;
  /** Which key it was handed in with, as a hash. */
  readonly account: string | null;
  /** US dollars for a million tokens in and out, as whoever handed it in knew them. */
  readonly price: { readonly input: number; readonly output: number } | null;
  /** Why it cannot be fetched: it is gone, or of another key. */
  readonly problem: string | null;
}

/** What a batch is begun with. */
export interface BatchBeginning {
  readonly id: string;
  readonly model: string;
  readonly purse: string;
  readonly account: string | null;
  readonly price: OpenBatch["price"];
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
  /** Batches that this process is sending: nobody looks for them meanwhile. */
  readonly beingSent = new Set<string>();

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
  begin({ id, model, purse, account, price }: BatchBeginning, calls: readonly BatchCall[]): void {
    this.#statements.run(
      "insert into batches (id, model, purse, owner, calls, begun_at, account, price) values (?, ?, ?, ?, ?, ?, ?, ?)",
      id,
      model,
      purse,
      this.#owner,
      calls.length,
      Date.now(),
      account,
      price && JSON.stringify(price),
    );
    for (const { key, reserved, promptBytes } of calls)
      this.#statements.run("insert into batch_calls values (?, ?, ?, ?, ?)", key, id, purse, reserved, promptBytes);
  }

  /** The request that makes it is sent now: from here on the provider may have it. @param at the provider's clock, 0 where it is not known */
  sent(id: string, at: number): void {
    this.#statements.run("update batches set sent_at = ?, looked_at = null where id = ?", at, id);
  }

  /** It was not in the provider's list at this time of the provider's. */
  lookedFor(id: string, at: number): void {
    this.#statements.run("update batches set looked_at = ? where id = ? and looked_at is null", at, id);
  }

  /** It was handed in, and the provider calls it so. */
  handedIn(id: string, providerId: string): void {
    this.#statements.run(
      "update batches set provider_id = ?, problem = null where id = ? and provider_id is null",
      providerId,
      id,
    );
  }

  /** Why it cannot be fetched; null when it can again. Its money counts as perhaps paid meanwhile. */
  setProblem(id: string, problem: string | null): void {
    this.#statements.run("update batches set problem = ? where id = ? and problem is not ?", problem, id, problem);
  }

  /** How often a call was handed in for nothing, and why the last time. */
  roundsOf(key: string): { readonly times: number; readonly detail: string } | undefined {
    const [row] = this.#statements.all("select times, detail from batch_rounds where key = ?", key);
    return row && { times: Number(row["times"]), detail: String(row["detail"]) };
  }

  /** A call was handed in for nothing once more. Gives how often by now. */
  addRound(key: string, detail: string): number {
    this.#statements.run(
      "insert into batch_rounds values (?, 1, ?) on conflict (key) do update set times = times + 1, detail = excluded.detail",
      key,
      detail,
    );
    return this.roundsOf(key)!.times;
  }

  /** A call has an outcome: what was before is over. */
  clearRounds(key: string): void {
    this.#statements.run("delete from batch_rounds where key = ?", key);
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
        sentAt: row["sent_at"] === null ? null : Number(row["sent_at"]),
        lookedAt: row["looked_at"] === null ? null : Number(row["looked_at"]),
        account: row["account"] === null ? null : String(row["account"]),
        price: row["price"] === null ? null : (JSON.parse(String(row["price"])) as NonNullable<OpenBatch["price"]>), // as `begin` wrote it
        problem: row["problem"] === null ? null : String(row["problem"]),
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

  /** Money of calls in batches: reserved, and perhaps paid where the batch cannot be fetched. */
  money(purse: string): { readonly reserved: number; readonly perhapsPaid: number } {
    const [row] = this.#statements.all(
      "select total(iif(b.problem is null, c.reserved, 0)) as reserved, total(iif(b.problem is null, 0, c.reserved)) as perhaps from batch_calls c join batches b on b.id = c.batch where c.purse = ?",
      purse,
    );
    return { reserved: Number(row?.["reserved"] ?? 0), perhapsPaid: Number(row?.["perhaps"] ?? 0) };
  }
}

function readCall(row: Record<string, SQLOutputValue>): BatchCall {
  return { key: String(row["key"]), reserved: Number(row["reserved"]), promptBytes: Number(row["prompt_bytes"]) };
}
