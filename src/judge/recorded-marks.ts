import type { Row } from "../dataset/example.ts";

/** Columns that say which row a score is of, and the score itself. */
const notMarks = new Set(["index", "id", "hash", "state", "score", "rating"]);

const longestName = 200; // characters
const mostColumns = 500;

/** The columns of numbers of a file, each a mark, by the rows' slots. A column with anything else in it is none. */
export class RecordedMarks {
  readonly #columns = new Map<string, Float64Array<ArrayBuffer>>();
  readonly #others = new Set<string>(); // columns that are not all numbers

  /** @param areTexts whether the file has texts alone, as CSV: then texts that are numbers count */
  add(slot: number, row: Row, areTexts: boolean): void {
    this.#addFields(slot, row, "", areTexts);
  }

  get names(): readonly string[] {
    return [...this.#columns.keys()];
  }

  /** The marks of a slot; undefined when it has none. */
  at(slot: number): Readonly<Record<string, number>> | undefined {
    let marks: Record<string, number> | undefined;
    for (const [name, values] of this.#columns) {
      const value = slot < values.length ? values[slot]! : NaN;
      if (!Number.isNaN(value)) (marks ??= {})[name] = value;
    }
    return marks;
  }

  #addFields(slot: number, fields: Row, prefix: string, areTexts: boolean): void {
    for (const key in fields) {
      if (prefix === "" && notMarks.has(key)) continue;
      const name = `${prefix}${key}`;
      const value = fields[key];
      if (value === null || value === undefined || value === "" || this.#others.has(name)) continue;
      if (typeof value === "object" && !Array.isArray(value)) {
        this.#addFields(slot, value as Row, `${name}.`, areTexts); // an object of a file
        continue;
      }
      const number = typeof value === "number" ? value : areTexts && typeof value === "string" ? toNumber(value) : NaN;
      if (Number.isFinite(number) && name.length <= longestName) this.#put(name, slot, number);
      else if (typeof value !== "number") {
        this.#others.add(name);
        this.#columns.delete(name);
      }
    }
  }

  #put(name: string, slot: number, value: number): void {
    let values = this.#columns.get(name);
    if (!values && this.#columns.size >= mostColumns) return;
    if (!values || slot >= values.length) {
      const larger = new Float64Array(Math.max(1024, 2 ** Math.ceil(Math.log2(slot + 1)))).fill(NaN);
      if (values) larger.set(values);
      this.#columns.set(name, (values = larger));
    }
    values[slot] = value;
  }
}

function toNumber(text: string): number {
  return text.trim() === "" ? NaN : Number(text);
}
