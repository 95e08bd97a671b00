import { valueAt } from "../../dataset/column-path.ts";
import type { Example } from "../../dataset/example.ts";
import { UsageError } from "../../errors.ts";
import type { Quota } from "./plan.ts";

/** Assigns a number to each distinct value of a column. `source` is a column of every pool. */
export class Grouping {
  readonly #option: string;
  readonly #column: string;
  readonly #names = new Map<string, number>();
  readonly #sizes: number[] = [];
  readonly numbers: Int32Array;
  #isFound = false;

  constructor(option: string, column: string, rowCount: number) {
    this.#option = option;
    this.#column = column;
    this.numbers = new Int32Array(rowCount);
  }

  learn({ index, row, source }: Example): void {
    const value = valueAt(row, this.#column) ?? (this.#column === "source" ? source : undefined);
    this.#isFound ||= value !== undefined;
    const name = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
    let number = this.#names.get(name);
    if (number === undefined) this.#names.set(name, (number = this.#names.size));
    this.#sizes[number] = (this.#sizes[number] ?? 0) + 1;
    this.numbers[index] = number;
  }

  expectFound(): void {
    if (!this.#isFound)
      throw new UsageError(
        `${this.#option}: expected a column of the data, got ${JSON.stringify(this.#column)}, which no row has`,
      );
  }

  /** How many rows of each group may be kept. @throws UsageError when a value of the quota is in no row */
  roomsOf({ keep }: Quota): number[] {
    const rooms = this.#sizes.map(() => 0);
    for (const [value, most] of keep) {
      const number = this.#names.get(value);
      if (number === undefined)
        throw new UsageError(
          `--quota: expected values of the column ${this.#column} (${[...this.#names.keys()].slice(0, 10).join(", ")}), got ${JSON.stringify(value)}, which no row has`,
        );
      rooms[number] = typeof most === "number" ? most : Math.round(most.share * this.#sizes[number]!);
    }
    return rooms;
  }
}
