import { resolve } from "node:path";
import type { SQLInputValue } from "node:sqlite";
import { openDatabase, openToRead } from "./call-store-file.ts";

/** A purse in a call store. */
export interface PurseInStore {
  readonly name: string;
  readonly store: string;
}

/**
 * Copies the replies that were paid from some purses into one store, and books what they cost under one purse. A reply that is there already
 * stays, so that nothing is doubled when it is done again.
 *
 * @param purses of the runs that are merged
 * @returns how many replies came in
 */
export function mergeStores(purses: readonly PurseInStore[], into: PurseInStore): number {
  const target = openDatabase(into.store);
  let copied = 0;
  try {
    target.exec("begin immediate");
    let [paid, perhapsPaid] = [0, 0];
    for (const { name, store } of purses) {
      const source = resolve(store) === resolve(into.store) ? target : openToRead(store);
      try {
        const spent = source.prepare("select paid, perhaps_paid from purses where name = ?").get(name);
        paid += Number(spent?.["paid"] ?? 0);
        perhapsPaid += Number(spent?.["perhaps_paid"] ?? 0);
        if (source === target) continue;
        for (const call of source.prepare("select * from calls where purse = ?").iterate(name)) {
          const columns = Object.keys(call);
          const insert = `insert or ignore into calls (${columns.join(", ")}) values (${columns.map(() => "?").join(", ")})`;
          copied += Number(target.prepare(insert).run(...(Object.values(call) as SQLInputValue[])).changes); // as SQLite gave them
        }
      } finally {
        if (source !== target) source.close();
      }
    }
    target
      .prepare(
        "insert into purses values (?, ?, ?) on conflict (name) do update set paid = max(paid, excluded.paid), perhaps_paid = max(perhaps_paid, excluded.perhaps_paid)",
      )
      .run(into.name, paid, perhapsPaid);
    target.exec("commit");
    return copied;
  } finally {
    target.close();
  }
}
