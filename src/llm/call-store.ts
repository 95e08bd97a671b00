/*
 * Over 300 lines: every query of the store is here, beside the transactions that they belong to. Tables and opening are in
 * call-store-file.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { UsageError } from "../errors.ts";
import { isRunning, thisHost, thisProcess, type ProcessIdentity } from "../process-identity.ts";
import { BatchBook } from "./batches/batch-book.ts";
import { openDatabase, openToRead } from "./call-store-file.ts";
import type { Finish, TokenLogprob } from "./reply.ts";
import { isOutOfRoom, SpareRoom } from "./spare-room.ts";
import { identityOfFile, isAnother, rescue } from "./store-file-gone.ts";
import type { PastUse, Purse, StoredCall } from "./stored-call.ts";

/*
 * Every reply that was paid for, in one SQLite file that processes share. A call is identified by its key (see
 * `requestKey`).
 *
 * Besides replies, the store holds a claim for each call in flight, with the money reserved for it, so that no two processes
 * make the same call; and a purse for each budget, with what was paid from it. A process that died leaves claims behind: the
 * next process that finds one removes it and books its money as perhaps paid. Calls in batches are recorded separately (see
 * `BatchBook`), because they outlive the process that submitted them.
 */

export const defaultStorePath = join(".alpagasus", "calls.sqlite");

const heartbeatMs = 2_000;

const silentMs = 60_000; // without a heartbeat for so long by our own clock, an owner on another host counts as dead
const longSilentMs = 24 * 3_600_000; // by its own clock: none is a day wrong

type Row = Record<string, SQLOutputValue>;

export interface CallStoreOptions {
  /** Open only for reading. A missing file is not an error. */
  readonly readOnly?: boolean | undefined;
}

export class CallStore implements Disposable {
  readonly path: string;
  /** Which calls are in batches at a provider. */
  readonly batches: BatchBook;
  readonly #database: DatabaseSync;
  readonly #owner = randomUUID();
  readonly #statements = new Map<string, StatementSync>();
  readonly #heartbeat: NodeJS.Timeout | undefined;
  /** Heartbeats of owners on other hosts, as last seen, and since when. */
  readonly #heartbeats = new Map<string, { readonly seenAt: number; readonly since: number }>();
  /** Which engine of this process has claimed a call. */
  readonly #holders = new Map<string, object>();
  readonly #file: string | null | undefined;
  readonly #spare: SpareRoom;
  /** Whether the file was removed, or another put in its place, while this process used it. */
  isGone = false;

  /** Opens the store, and creates it if missing. @throws UsageError when the file is something else */
  constructor(path: string = defaultStorePath, { readOnly = false }: CallStoreOptions = {}) {
    if (path.trim() === "" || path.startsWith(":") || path.startsWith("file:"))
      throw new UsageError(`--store: expected a file, got ${JSON.stringify(path)}`);
    this.path = path;
    this.#spare = new SpareRoom(path);
    this.#database = readOnly ? openToRead(path) : openDatabase(path);
    this.batches = new BatchBook(
      {
        run: (sql, ...values) => this.#run(sql, ...values),
        all: (sql, ...values) => this.#prepare(sql).all(...values),
      },
      this.#owner,
    );
    if (readOnly) return;
    this.#file = identityOfFile(path);
    this.#beat();
    this.transact(() => this.buryDead());
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs).unref();
  }

  /** Runs `work` in one transaction: when this returns, all of its writes are on disk, or none. */
  transact<T>(work: () => T): T {
    this.#database.exec("begin immediate");
    try {
      const result = work();
      this.#database.exec("commit");
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("rollback");
      if (isOutOfRoom(error)) this.#spare.give(); // so that the next try finds some
      throw error;
    }
  }

  find(key: string): StoredCall | undefined {
    const row = this.#prepare(
      "select rowid as place, model, state, text, finish, detail, build, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost, prompt_bytes, attempts, latency_ms, logprobs from calls where key = ?",
    ).get(key);
    if (!row) return undefined;
    const number = (name: string) => row[name] as number; // by the table's own types
    return {
      key,
      model: row["model"] as string,
      state: row["state"] as StoredCall["state"],
      text: row["text"] as string,
      ...(row["logprobs"] !== null && {
        logprobs: JSON.parse(row["logprobs"] as string) as readonly TokenLogprob[], // as `save` wrote them
      }),
      finish: row["finish"] as Finish | null,
      detail: row["detail"] as string | null,
      build: row["build"] as string | null,
      usage:
        row["input_tokens"] === null
          ? null
          : {
              inputTokens: number("input_tokens"),
              cachedInputTokens: number("cached_input_tokens"),
              cacheWriteTokens: number("cache_write_tokens"),
              outputTokens: number("output_tokens"),
              reasoningTokens: number("reasoning_tokens"),
            },
      cost: row["cost"] as number | null,
      promptBytes: number("prompt_bytes"),
      attempts: number("attempts"),
      latencyMs: number("latency_ms"),
      place: number("place"),
    };
  }

  /** The state of a call, without its text; undefined when it has no outcome. */
  stateOf(key: string): StoredCall["state"] | undefined {
    return this.#prepare("select state from calls where key = ?").get(key)?.["state"] as
      | StoredCall["state"]
      | undefined; // by the table's own types
  }

  /** A number that changes when another process has written. */
  get version(): number {
    return Number(this.#prepare("pragma data_version").get()?.["data_version"]);
  }

  /** The place of the latest call; 0 where there is none. */
  get lastPlace(): number {
    return Number(this.#prepare("select max(rowid) as last from calls").get()?.["last"] ?? 0);
  }

  /** Whether a model has ever replied. */
  hasReplyOf(model: string): boolean {
    return this.#prepare("select 1 from calls where model = ? and state = 'replied' limit 1").get(model) !== undefined;
  }

  /** Stores the outcome of a call, books its cost, and releases its claim. */
  save(call: StoredCall, purse: string): void {
    const { usage } = call;
    this.#run(
      `insert or replace into calls
        (key, model, state, text, finish, detail, build, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost, prompt_bytes, attempts, latency_ms, purse, logprobs)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      call.key,
      call.model,
      call.state,
      call.text,
      call.finish,
      call.detail,
      call.build,
      usage?.inputTokens ?? null,
      usage?.cachedInputTokens ?? null,
      usage?.cacheWriteTokens ?? null,
      usage?.outputTokens ?? null,
      usage?.reasoningTokens ?? null,
      call.cost,
      call.promptBytes,
      call.attempts,
      call.latencyMs,
      purse,
      call.logprobs ? JSON.stringify(call.logprobs) : null,
    );
    if (call.cost !== null && call.cost > 0) this.#book(purse, call.cost, 0);
    this.release(call.key);
  }

  /**
   * Claims a call and reserves money for it; a holder may claim again to change the reserve. False when another live engine or a
   * batch has the call.
   *
   * @param holder the engine that claims it
   */
  claim(key: string, purse: string, reserved: number, holder: object): boolean {
    this.#spare.hold();
    const current = this.#holders.get(key);
    if (current !== undefined && current !== holder) return false;
    const insert = () =>
      this.#run(
        "insert into claims values (?, ?, ?, ?) on conflict (key) do update set reserved = excluded.reserved, purse = excluded.purse where owner = excluded.owner",
        key,
        this.#owner,
        purse,
        reserved,
      ) === 1;
    if (this.batches.batchOf(key) !== undefined) return false;
    const isTaken = insert() || (this.buryDead() && insert());
    if (isTaken) this.#holders.set(key, holder);
    return isTaken;
  }

  /** Drops a claim from memory when its transaction failed. */
  forget(key: string, holder: object): void {
    if (this.#holders.get(key) === holder) this.#holders.delete(key);
  }

  /** Releases a claim of this process. */
  release(key: string): void {
    this.#holders.delete(key);
    this.#run("delete from claims where key = ? and owner = ?", key, this.#owner);
  }

  /** Enters a purse before anything is paid from it: one that the store does not know was counted by another store, or by one that is gone. */
  knowPurse(name: string): void {
    this.#prepare("insert or ignore into purses values (?, 0, 0)").run(name);
  }

  knowsPurse(name: string): boolean {
    return this.#prepare("select 1 from purses where name = ?").get(name) !== undefined;
  }

  /** Ends an attempt without a reply: frees its reserved money and books `perhapsPaid` of it. The claim stays. */
  settle(key: string, purse: string, perhapsPaid: number): void {
    this.#run("update claims set reserved = 0 where key = ? and owner = ?", key, this.#owner);
    if (perhapsPaid > 0) this.#book(purse, 0, perhapsPaid);
  }

  purse(name: string): Purse {
    const paid = this.#prepare("select paid, perhaps_paid from purses where name = ?").get(name);
    const claims = this.#prepare("select total(reserved) as reserved from claims where purse = ?").get(name);
    const batched = this.batches.money(name);
    return {
      paid: Number(paid?.["paid"] ?? 0),
      perhapsPaid: Number(paid?.["perhaps_paid"] ?? 0) + batched.perhapsPaid,
      reserved: Number(claims?.["reserved"] ?? 0) + batched.reserved,
      batched: batched.reserved,
    };
  }

  /** Whether a live process has claimed a call. */
  isClaimed(key: string): boolean {
    const isThere = () => this.#prepare("select 1 from claims where key = ?").get(key) !== undefined;
    return isThere() && !(this.buryDead() && !isThere());
  }

  /** Books money as perhaps paid: the provider reported no cost, but may bill it. */
  bookPerhaps(purse: string, perhapsPaid: number): void {
    if (perhapsPaid > 0) this.#book(purse, 0, perhapsPaid);
  }

  /** Whether the owner of a claim or batch is this process. */
  isOwn(owner: string): boolean {
    return owner === this.#owner;
  }

  /** Whether an owner's process is alive. */
  isAlive(owner: string): boolean {
    const row = this.#prepare("select host, pid, seen_at from owners where id = ?").get(owner);
    return row !== undefined && !this.#isDead(owner, row);
  }

  /** The exact models behind a model's replies, if the provider reports them, with the number of replies of each. */
  builds(model: string): { readonly build: string; readonly replies: number }[] {
    return this.#prepare(
      "select build, count(*) as replies from calls where model = ? and build is not null group by build order by replies desc",
    )
      .all(model)
      .map((row) => ({ build: String(row["build"]), replies: Number(row["replies"]) }));
  }

  /** How many calls were paid from a purse. */
  callsFrom(purse: string): number {
    return Number(this.#prepare("select count(*) as calls from calls where purse = ?").get(purse)?.["calls"] ?? 0);
  }

  /** How many replies from a purse have no known price. */
  unpricedFrom(purse: string): number {
    const unpriced = "select count(*) as calls from calls where purse = ? and state = 'replied' and cost is null";
    return Number(this.#prepare(unpriced).get(purse)!["calls"]);
  }

  /** Token use of a model's calls so far; undefined when no call reported usage. */
  pastUse(model: string): PastUse | undefined {
    const row = this.#prepare(
      "select count(*) as calls, total(input_tokens) as input, total(prompt_bytes) as bytes, total(output_tokens) as output, total(cached_input_tokens) as cached from (select * from calls where model = ? and input_tokens is not null limit 5000)",
    ).get(model);
    const calls = Number(row?.["calls"] ?? 0);
    if (calls === 0) return undefined;
    return {
      calls,
      inputTokens: Number(row!["input"]) / calls,
      cachedInputTokens: Number(row!["cached"]) / calls,
      inputTokensPerByte: Number(row!["input"]) / Math.max(1, Number(row!["bytes"])),
      outputTokens: Number(row!["output"]) / calls,
    };
  }

  /** The mean cost of a model's replies, in billionths of a US dollar; null when none has a price. */
  meanCost(model: string): number | null {
    const row = this.#prepare(
      "select avg(cost) as mean from (select cost from calls where model = ? and cost is not null and state = 'replied' limit 5000)",
    ).get(model);
    return (row?.["mean"] as number | null | undefined) ?? null; // by the query's own type
  }

  /** Releases this process's claims (money of calls still in flight counts as perhaps paid) and closes the file. */
  [Symbol.dispose](): void {
    clearInterval(this.#heartbeat);
    if (!this.#database.isOpen) return;
    try {
      if (this.#heartbeat && this.transact(() => this.#leave())) this.#spare.give();
    } catch {
      // it cannot be written, which was told already; the next process that opens it buries this one
    } finally {
      this.isGone ||= isAnother(this.path, this.#file);
      if (this.isGone) rescue(this.#database, this.path);
      this.#database.close();
    }
  }

  #book(purse: string, paid: number, perhapsPaid: number): void {
    this.#run(
      "insert into purses values (?, ?, ?) on conflict (name) do update set paid = paid + excluded.paid, perhaps_paid = perhaps_paid + excluded.perhaps_paid",
      purse,
      paid,
      perhapsPaid,
    );
  }

  /** Removes the claims of dead processes and books their money as perhaps paid. True if there were dead processes. */
  buryDead(): boolean {
    const dead = this.#prepare("select id, host, pid, seen_at from owners where id <> ?")
      .all(this.#owner)
      .filter((owner) => this.#isDead(String(owner["id"]), owner));
    for (const { id } of dead) this.#bury(String(id));
    return dead.length > 0;
  }

  /** Clocks of hosts differ, so an owner elsewhere is dead when its heartbeat stands still while ours goes on. */
  #isDead(id: string, row: Row): boolean {
    const running = isRunning(identityOf(row));
    if (running !== undefined) return !running;
    const seenAt = Number(row["seen_at"]);
    if (Date.now() - seenAt > longSilentMs) return true;
    const known = this.#heartbeats.get(id);
    if (known?.seenAt !== seenAt) this.#heartbeats.set(id, { seenAt, since: performance.now() });
    return known?.seenAt === seenAt && performance.now() - known.since > silentMs;
  }

  /** Whether no other process is left that has the store open. */
  #leave(): boolean {
    this.#bury(this.#owner);
    return this.#prepare("select 1 from owners").get() === undefined;
  }

  #bury(owner: string): void {
    const lost = this.#prepare(
      "select purse, sum(reserved) as reserved from claims where owner = ? group by purse",
    ).all(owner);
    for (const { purse, reserved } of lost) if (Number(reserved) > 0) this.#book(String(purse), 0, Number(reserved));
    this.#run("delete from claims where owner = ?", owner);
    this.#run("delete from owners where id = ?", owner);
  }

  #beat(): void {
    this.isGone ||= isAnother(this.path, this.#file);
    try {
      this.#run(
        "insert into owners values (?, ?, ?, ?) on conflict (id) do update set seen_at = excluded.seen_at",
        this.#owner,
        `${thisProcess.host}#${thisProcess.start}`,
        thisProcess.pid,
        Date.now(),
      );
    } catch {
      // busy or gone: the next use of the store will report it
    }
  }

  #run(sql: string, ...values: (string | number | null)[]): number {
    return Number(this.#prepare(sql).run(...values).changes);
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

/** An owner as its row names it: the host, and after # when its process started. Earlier versions wrote the host's name only. */
function identityOf({ host, pid }: Row): ProcessIdentity {
  const [name = "", start] = String(host).split("#");
  const isHere = start === undefined && name === thisHost.split("/", 1)[0];
  return { host: isHere ? thisHost : name, pid: Number(pid), start: start ?? "" };
}
