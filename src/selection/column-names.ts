import type { Example } from "../dataset/example.ts";
import { UsageError } from "../errors.ts";
import { mentions } from "./sql-names.ts";

/** Names of the data's columns, to find those that SQL cannot tell apart. */
export class ColumnNames {
  readonly #seen = new Set<string>();

  add({ row }: Example): void {
    for (const name in row) this.#seen.add(name);
  }

  /** Names of which there are several that differ by capital letters alone; each once, in small letters. */
  twice(): string[] {
    const low = [...this.#seen].map((name) => name.toLowerCase());
    return [...new Set(low.filter((name, i) => low.indexOf(name) < i))];
  }
}

/** @throws UsageError when SQL names a column that there are several of */
export function expectOther(sql: string, name: string, option: string): void {
  if (mentions(sql, name))
    throw new UsageError(
      `${option}: the data has several columns ${name}, which differ by capital letters and which SQL cannot tell apart; rename one of them`,
    );
}
