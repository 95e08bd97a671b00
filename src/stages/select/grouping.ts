import { valueAt } from "../../dataset/column-path.ts";
import type { Example } from "../../dataset/example.ts";
import { UsageError } from "../../errors.ts";
import type { Quota } from "../../selection/quota.ts";

/** Assigns a number to each distinct value of a column; none, where it is absent or null. `source` is a column of every pool. */
export class Grouping {
  readonly #option: string;
  readonly #column: string;
  /** By kind and value. */
  readonly #numbers = new Map<string, number>();
  /** By how a value is written: a text and another value may be written alike. */
  readonly #names = new Map<string, number[]>();
  readonly #sizes: number[] = [];
  readonly numbers: Int32Array;
  #isFound = false;

  constructor(option: string, column: string, rowCount: number) {
    this.#option = option;
    this.#column = column;
    this.numbers = new Int32Array(rowCount);
  }

  learn({ index, row, source, place }: Example): void {
    const found = valueAt(row, this.#column) ?? (this.#column === "source" ? source : undefined);
    const value = place.format === "csv" && found === "" ? null : found; // as --where has it
    this.#isFound ||= value !== undefined;
    const name = typeof value === "string" ? value : JSON.stringify(value ?? null);
    const key = `${typeof value === "string" ? "text" : "other"} ${name}`; // "1" is another value than 1
    let number = this.#numbers.get(key);
    if (number === undefined) {
      this.#numbers.set(key, (number = this.#numbers.size));
      this.#names.set(name, [...(this.#names.get(name) ?? []), number]);
    }
    this.#sizes[number] = (this.#sizes[number] ?? 0) + 1;
    this.numbers[index] = number;
  }

  expectFound(): void {
    if (!this.#isFound)
      throw new UsageError(
        `${this.#option}: expected a column of the data, got ${JSON.stringify(this.#column)}, which no row has (scores and lengths do not group rows; --where and --by take them)`,
      );
  }

  /** How many rows of each group may be kept. @throws UsageError when a value of the quota is in no row */
  roomsOf({ keep }: Quota): number[] {
    const rooms = this.#sizes.map(() => 0);
    for (const [value, most] of keep) {
      const [number, other] = this.#names.get(value) ?? [];
      if (other !== undefined)
        throw new UsageError(
          `${this.#option}: expected one value of the column ${this.#column} that is written ${JSON.stringify(value)}, got a text and another; choose rows by --where, which tells them apart`,
        );
      if (number === undefined)
        throw new UsageError(
          `${this.#option}: expected values of the column ${this.#column} (${[...this.#names.keys()].slice(0, 10).join(", ")}), got ${JSON.stringify(value)}, which no row has`,
        );
      rooms[number] = typeof most === "number" ? most : Math.round(most.share * this.#sizes[number]!);
    }
    return rooms;
  }
}
