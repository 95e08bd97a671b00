import type { SQLOutputValue } from "node:sqlite";

/*
 * The part of the call store that records which calls are in batches at a provider. A batch is recorded before it is
 * submitted, so that no call is made twice, in a batch or directly, whenever a process is killed.
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

/** Columns of `batches` that stores before layout 3 lack. */
export const batchColumnsSince3 = [
  "sent_at integer",
  "looked_at integer",
  "account text",
  "price text",
  "problem text",
];

/** A batch that is not closed yet: its results are not all fetched. */
export interface OpenBatch {
  readonly id: string;
  readonly model: string;
  readonly purse: string;
  /** The provider's id of it; null until the submission is confirmed. */
  readonly providerId: string | null;
  /** Calls that were submitted; `left` counts those still without an outcome. */
  readonly calls: number;
  readonly left: number;
  /** The most that the `left` calls can cost, in billionths of a US dollar. */
  readonly reserved: number;
  /** Milliseconds since 1970. */
  readonly begunAt: number;
  /** The process that submits it, by its id in the store's table `owners`. */
  readonly owner: string;
  /** When the request that creates it was sent, by the provider's clock; 0 when that is unknown, null when not sent yet. */
  readonly sentAt: number | null;
  /** When it was first missing from the provider's list, by the provider's clock. */
  readonly lookedAt: number | null;
  /** Hash of the API key that it was submitted with. */
  readonly account: string | null;
  /** US dollars per million tokens in and out, as the submitting process knew them. */
  readonly price: { readonly input: number; readonly output: number } | null;
  /** Why it cannot be fetched, such as gone or submitted with another API key; null when it can. */
  readonly problem: string | null;
}

/** What is recorded of a new batch. */
export interface BatchBeginning {
  readonly id: string;
  readonly model: string;
  readonly purse: string;
  readonly account: string | null;
  readonly price: OpenBatch["price"];
}

/** A call in a batch. */
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
  /** Batches that this process is sending now; they are not searched for meanwhile. */
  readonly beingSent = new Set<string>();

  /** @param owner this process, by its id in the store's table `owners` */
  constructor(statements: Statements, owner: string) {
    this.#statements = statements;
    this.#owner = owner;
  }

  /** Whether any call is in a batch. */
  get isEmpty(): boolean {
    return this.#statements.all("select 1 from batch_calls limit 1").length === 0;
  }

  /** Id of the batch that holds a call. */
  batchOf(key: string): string | undefined {
    return this.#statements.all("select batch from batch_calls where key = ?", key)[0]?.["batch"] as string | undefined; // by the table's type
  }

  /** Records a batch that is about to be submitted. */
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

  /** Records that the creating request is sent: the provider may have the batch now. @param at the provider's clock, or 0 */
  sent(id: string, at: number): void {
    this.#statements.run("update batches set sent_at = ?, looked_at = null where id = ?", at, id);
  }

  /** Records when it was first missing from the provider's list. @param at the provider's clock */
  lookedFor(id: string, at: number): void {
    this.#statements.run("update batches set looked_at = ? where id = ? and looked_at is null", at, id);
  }

  /** Records the provider's id: the submission is confirmed. */
  handedIn(id: string, providerId: string): void {
    this.#statements.run(
      "update batches set provider_id = ?, problem = null where id = ? and provider_id is null",
      providerId,
      id,
    );
  }

  /** Records why it cannot be fetched; null once it can again. Until then its money counts as perhaps paid. */
  setProblem(id: string, problem: string | null): void {
    this.#statements.run("update batches set problem = ? where id = ? and problem is not ?", problem, id, problem);
  }

  /** How often a call was submitted without an outcome, and why the last time. */
  roundsOf(key: string): { readonly times: number; readonly detail: string } | undefined {
    const [row] = this.#statements.all("select times, detail from batch_rounds where key = ?", key);
    return row && { times: Number(row["times"]), detail: String(row["detail"]) };
  }

  /** Counts one more submission of a call without an outcome. Returns the new count. */
  addRound(key: string, detail: string): number {
    this.#statements.run(
      "insert into batch_rounds values (?, 1, ?) on conflict (key) do update set times = times + 1, detail = excluded.detail",
      key,
      detail,
    );
    return this.roundsOf(key)!.times;
  }

  /** Forgets a call's earlier submissions, since it has an outcome now. */
  clearRounds(key: string): void {
    this.#statements.run("delete from batch_rounds where key = ?", key);
  }

  /** Batches that are not closed, oldest first. @param model only this model's batches */
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

  /** Whether a provider's batch is recorded here under its id. */
  knows(providerId: string): boolean {
    return this.#statements.all("select 1 from batches where provider_id = ?", providerId).length > 0;
  }

  /** Removes a call whose outcome has arrived from its batch; undefined when another process has removed it. */
  take(id: string, key: string): BatchCall | undefined {
    const [row] = this.#statements.all("delete from batch_calls where key = ? and batch = ? returning *", key, id);
    return row && readCall(row);
  }

  /** Closes a batch. Returns its calls without an outcome, which can be made again. */
  end(id: string, detail: string | null): BatchCall[] {
    const left = this.#statements.all("delete from batch_calls where batch = ? returning *", id);
    this.#statements.run("update batches set ended_at = ?, detail = ? where id = ?", Date.now(), detail, id);
    return left.map(readCall);
  }

  /** Money of a purse's calls in batches: reserved, or perhaps paid where the batch cannot be fetched. */
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
