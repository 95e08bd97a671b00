import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { UsageError } from "../errors.ts";
import { openDatabase, openToRead } from "./call-store-file.ts";

/** What a purse has paid, and what it may have paid, in billionths of a US dollar. */
export interface Spent {
  readonly paid: number;
  readonly perhapsPaid: number;
}

/** What was added to a purse, of which other purse: in the store, so that it changes together with the purse. */
const mergedTable =
  "create table if not exists merged (target text, purse text, store text, paid integer not null, perhaps_paid integer not null, primary key (target, purse, store)) strict, without rowid";

/** Brings replies of other call stores into one, in one transaction, which `commit` ends. */
export class StoreMerge implements Disposable {
  readonly #into: string;
  readonly #target: DatabaseSync;
  readonly #sources = new Map<string, DatabaseSync>();
  /** Where stores are that are alike, by purse. */
  readonly #places = new Map<string, string[]>();
  /** Replies that came in. */
  copied = 0;

  /** Opens the store that replies come into. @throws UsageError when it is something else */
  constructor(into: string) {
    this.#into = resolve(into);
    this.#target = openDatabase(into);
    this.#target.exec("begin immediate");
    this.#target.exec(mergedTable);
  }

  /** Copies what a purse has paid for. @throws UsageError when there is no such store @returns what it has spent, reserved money included */
  addPurse(store: string, purse: string): Spent {
    const source = this.#open(store);
    const spent = source.prepare("select paid, perhaps_paid from purses where name = ?").get(purse);
    const reserved = source.prepare("select total(reserved) as reserved from claims where purse = ?").get(purse);
    if (source !== this.#target)
      for (const call of source.prepare("select * from calls where purse = ?").iterate(purse)) this.#save(call);
    return {
      paid: Number(spent?.["paid"] ?? 0),
      perhapsPaid: Number(spent?.["perhaps_paid"] ?? 0) + Number(reserved?.["reserved"] ?? 0), // of a process that was killed
    };
  }

  /** Copies a reply, whoever paid for it. */
  addCall(store: string, key: string): void {
    const source = this.#open(store);
    const call = source === this.#target ? undefined : source.prepare("select * from calls where key = ?").get(key);
    if (call) this.#save(call);
  }

  /**
   * Adds to what a purse of this store has spent what another one has, less what was added of it before. Money that was paid stays so, also
   * where the other store counts anew.
   *
   * @param from the other purse, and the store that counts it: copies of a run have purses of one name, each in its own store
   */
  book(purse: string, from: { readonly store: string; readonly name: string }, spent: Spent): void {
    const key = [purse, from.name, this.#identify(from.store, from.name)] as const;
    const before = this.#target
      .prepare("select paid, perhaps_paid from merged where target = ? and purse = ? and store = ?")
      .get(...key);
    const [paidBefore, perhapsBefore] = [Number(before?.["paid"] ?? 0), Number(before?.["perhaps_paid"] ?? 0)];
    const paid = Math.max(0, spent.paid - paidBefore);
    const perhapsPaid = spent.perhapsPaid - perhapsBefore; // less, where it is known by now
    this.#target
      .prepare("insert or replace into merged values (?, ?, ?, ?, ?)")
      .run(...key, Math.max(spent.paid, paidBefore), spent.perhapsPaid);
    this.#target
      .prepare(
        "insert into purses values (?, ?, ?) on conflict (name) do update set paid = paid + excluded.paid, perhaps_paid = max(0, perhaps_paid + excluded.perhaps_paid)",
      )
      .run(purse, paid, perhapsPaid);
  }

  /**
   * What tells a store from others, wherever it lies: its first reply. A store that is one with another of this merge but for its place is a
   * copy, which has paid on its own since.
   */
  #identify(store: string, purse: string): string {
    const first = this.#open(store).prepare("select key, at from calls order by rowid limit 1").get();
    const identity = `${String(first?.["key"] ?? "empty")} ${String(first?.["at"] ?? "")}`;
    const places = this.#places.get(`${purse} ${identity}`) ?? [];
    this.#places.set(`${purse} ${identity}`, places);
    if (!places.includes(resolve(store))) places.push(resolve(store));
    const copy = places.indexOf(resolve(store));
    return copy === 0 ? identity : `${identity} copy ${copy + 1}`;
  }

  commit(): void {
    this.#target.exec("commit");
  }

  /** A reply that is there stays; it takes the place of a call that failed. */
  #save(call: Record<string, unknown>): void {
    const columns = Object.keys(call);
    const insert = `insert into calls (${columns.join(", ")}) values (${columns.map(() => "?").join(", ")})
      on conflict (key) do update set ${columns.map((column) => `${column} = excluded.${column}`).join(", ")}
      where calls.state = 'failed' and excluded.state <> 'failed'`;
    this.copied += Number(this.#target.prepare(insert).run(...(Object.values(call) as SQLInputValue[])).changes); // as SQLite gave them
  }

  #open(store: string): DatabaseSync {
    if (resolve(store) === this.#into) return this.#target;
    let source = this.#sources.get(store);
    if (source) return source;
    if (!existsSync(store))
      throw new UsageError(
        `${store}: expected the call store with a shard's replies and what it paid, found no such file; bring it with the shard's run`,
      );
    source = openToRead(store);
    this.#sources.set(store, source);
    return source;
  }

  [Symbol.dispose](): void {
    for (const source of this.#sources.values()) source.close();
    this.#target.close(); // what was not committed is undone
  }
}
