import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import type { Format } from "../dataset/source.ts";
import type { Example, Row } from "../dataset/example.ts";

/** A row of CSV with numbers, truth values and nothing in place of texts that are some, as readers of CSV have them. */
function typed(row: Row, format: Format): Row {
  if (format !== "csv") return row;
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, typeof value === "string" ? typedCell(value) : value]),
  );
}

function typedCell(text: string): unknown {
  if (text === "") return null;
  if (isNumber.test(text)) return Number(text);
  return /^(true|false)$/i.test(text) ? text.toLowerCase() === "true" : text;
}

const isNumber = /^-?(0|[1-9]\d{0,14})(\.\d+)?$/;

/** A file of JSON Lines with the rows in order; one that cannot be read is an empty object. */
export async function openCopy() {
  const folder = await mkdtemp(join(tmpdir(), "alpagasus-"));
  const path = join(folder, "rows.jsonl");
  const file = createWriteStream(path);
  return {
    path,
    async add({ text, row, source, place, unreadable }: Example): Promise<void> {
      const line =
        source !== undefined
          ? JSON.stringify({ ...typed(row, place.format), source: row["source"] ?? source }) // a column of that name in the data itself wins
          : unreadable === undefined
            ? place.format === "csv"
              ? JSON.stringify(typed(row, "csv"))
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
