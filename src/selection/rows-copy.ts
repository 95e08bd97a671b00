import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import type { Format } from "../dataset/source.ts";
import type { Example, Row } from "../dataset/example.ts";

/**
 * A row of CSV with its empty cells as nothing. All others are texts here; `readColumnTypes` says which columns hold numbers or truth
 * values alone.
 */
function withoutEmpty(row: Row, format: Format): Row {
  if (format !== "csv") return row;
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === "" ? null : value]));
}

/** A row as JSON that every reader takes: half a character, which some do not, is the one that stands for it. */
function toJson(row: Row): string {
  return JSON.stringify(row).replace(/(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}/g, "$1\\ufffd");
}

/**
 * A file of JSON Lines with the rows in order; one that cannot be read is an empty object.
 *
 * @param asRead write what was read of a row, not its text: where DuckDB cannot read the text
 */
export async function openCopy({ asRead = false }: { readonly asRead?: boolean } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "alpagasus-"));
  const path = join(folder, "rows.jsonl");
  const file = createWriteStream(path);
  return {
    path,
    async add({ text, row, source, place, unreadable }: Example): Promise<void> {
      const line =
        source !== undefined
          ? toJson({ ...withoutEmpty(row, place.format), source: row["source"] ?? source }) // a column of that name in the data itself wins
          : unreadable === undefined
            ? place.format === "csv" || asRead
              ? toJson(withoutEmpty(row, place.format))
              : text.replaceAll(/[\r\n]/g, " ") // line ends stand between values only
            : "{}";
      if (!file.write(`${line}\n`)) await once(file, "drain");
    },
    async close(): Promise<void> {
      file.end();
      await finished(file);
    },
    async [Symbol.asyncDispose]() {
      file.destroy();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
