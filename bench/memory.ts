import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { once } from "node:events";
import { finished } from "node:stream/promises";
import { openDuckDb, sqlPath } from "../src/dataset/duckdb.ts";
import { measure, type Measurement } from "./measure.ts";
import type { Bench } from "./run.ts";

const small = 52_002;
const large = 5_000_000;
const rowGroup = 20_480; // a reader of Parquet holds a whole group: of the same size in both files, so that only the rows differ

interface AlpacaRow {
  readonly instruction: string;
  readonly input: string;
  readonly output: string;
}

/** Peak memory of `rate` and `select` on 52 thousand and on 5 million rows, JSON Lines and Parquet. */
export async function benchMemory({ folder, alpaca, cli }: Bench): Promise<void> {
  const rows = JSON.parse(await readFile(`${alpaca}/alpaca_data.json`, "utf8")) as AlpacaRow[];
  await measureRows("JSON Lines", folder, cli, async (count) => {
    await writeRows(rows, count, `${folder}/${count}.jsonl`);
    return `${folder}/${count}.jsonl`;
  });
  await measureRows("Parquet", folder, cli, async (count) => {
    await toParquet(`${folder}/${count}.jsonl`, `${folder}/${count}.parquet`);
    return `${folder}/${count}.parquet`;
  });
}

/** The same on chats: a system text, an earlier question with its answer, and a row's own. */
export async function benchChatMemory({ folder, alpaca, cli }: Bench): Promise<void> {
  const rows = JSON.parse(await readFile(`${alpaca}/alpaca_data.json`, "utf8")) as AlpacaRow[];
  const chats = rows.map(({ instruction, input, output }, i) => ({
    messages: [
      { role: "system", content: "You are a helpful assistant." },
      { role: "user", content: rows[(i + 1) % rows.length]!.instruction },
      { role: "assistant", content: rows[(i + 1) % rows.length]!.output },
      { role: "user", content: input === "" ? instruction : `${instruction}\n\n${input}` },
      { role: "assistant", content: output },
    ],
  }));
  await measureRows("chats in JSON Lines", folder, cli, async (count) => {
    await writeRows(chats, count, `${folder}/${count}.jsonl`);
    return `${folder}/${count}.jsonl`;
  });
}

async function measureRows(
  what: string,
  folder: string,
  cli: string,
  write: (count: number) => Promise<string>,
): Promise<void> {
  const found: Record<string, Measurement[]> = {};
  for (const count of [small, large]) {
    const data = await write(count);
    const commands = {
      rate: ["rate", data, "--overwrite"],
      "select --min-score": ["select", "--min-score", "2.5"],
      "select --top": ["select", "--top", "10%"],
    };
    for (const [name, args] of Object.entries(commands))
      (found[name] ??= []).push(await measure(process.execPath, [cli, ...args], folder));
  }
  for (const [name, [few, many]] of Object.entries(found)) {
    const ratio = many!.peakMegabytes / few!.peakMegabytes;
    console.log(
      `memory: ${name} on ${what}: ${few!.peakMegabytes.toFixed(0)} MB for 52 thousand rows, ${many!.peakMegabytes.toFixed(0)} MB for 5 million (${ratio.toFixed(2)} times; the aim is at most 1.5); ${many!.seconds.toFixed(0)} s`,
    );
  }
}

/** Alpaca's rows over and over, with a field that changes. */
export async function writeRows(rows: readonly object[], count: number, path: string): Promise<void> {
  const file = createWriteStream(path);
  for (let i = 0; i < count;) {
    let text = "";
    for (const end = Math.min(count, i + 2000); i < end; i++)
      text += `${JSON.stringify({ ...rows[i % rows.length], number: i })}\n`;
    if (!file.write(text)) await once(file, "drain");
  }
  file.end();
  await finished(file);
}

async function toParquet(from: string, to: string): Promise<void> {
  await using database = await openDuckDb();
  await database.connection.run(
    `COPY (FROM read_json(${sqlPath(from)}, format = 'newline_delimited')) TO ${sqlPath(to)} (FORMAT parquet, ROW_GROUP_SIZE ${rowGroup})`,
  );
}
