import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { compareInTurn, measure } from "./measure.ts";
import type { Bench } from "./run.ts";

/** What anyone would write: load, filter, dump. It writes no decisions and checks nothing. */
const python = `
import json, sys
rows, scores = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
json.dump([row for row, score in zip(rows, scores) if score >= 3], open(sys.argv[3], "w"), indent=4)
`;

/** \`select --min-score 3\` on Alpaca-52k, whole process, beside the obvious Python script; and `--top` on 18 times as many rows beside DuckDB. */
export async function benchSelect({ folder, alpaca, cli }: Bench): Promise<void> {
  const data = `${alpaca}/alpaca_data.json`;
  const scores = `${alpaca}/ratings.gpt-4o-mini.json`;
  // the interpreter itself: on some machines `python3` is a script that looks for it first
  const interpreter = execFileSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" }).trim();
  await measure(process.execPath, [cli, "rate", data, "--judge", `recorded:${scores}`], folder);
  const { a, b, ratio } = await compareInTurn(
    15,
    async () => (await measure(process.execPath, [cli, "select", "--min-score", "3"], folder)).seconds,
    async () => (await measure(interpreter, ["-c", python, data, scores, `${folder}/kept.json`], folder)).seconds,
  );
  await besideDuckDb(data, scores, folder, cli);
  console.log(
    `select: --min-score 3 on 52,002 rows ${a.toFixed(2)} s, the Python script ${b.toFixed(2)} s, ratio ${ratio.toFixed(2)} (medians of 15 in turn; the aim is at most 1)`,
  );
}

const copies = 18;

/** DuckDB's own sort and write: the best rows by score, in the order of the file. It writes no decisions and checks nothing. */
const duckDb = (module: string) => `
const { DuckDBInstance } = await import(${JSON.stringify(module)});
const connection = await (await DuckDBInstance.create(":memory:")).connect();
const [data, scores, kept, count] = process.argv.slice(1);
await connection.run(\`copy (select instruction, input, output from (
  select d.*, s.score from (select *, row_number() over () as i from read_json('\${data}', format = 'newline_delimited')) d
  join (select row_number() over () as i, score from read_json('\${scores}', format = 'newline_delimited')) s on d.i = s.i
  order by score desc, d.i limit \${count}) order by i) to '\${kept}' (format json)\`);
`;

async function besideDuckDb(data: string, scores: string, folder: string, cli: string): Promise<void> {
  const rows = JSON.parse(await readFile(data, "utf8")) as object[];
  const marks = JSON.parse(await readFile(scores, "utf8")) as number[];
  const lines = (list: readonly object[]) => list.map((one) => `${JSON.stringify(one)}\n`).join("");
  await writeFile(`${folder}/many.jsonl`, lines(rows).repeat(copies));
  await writeFile(`${folder}/many.scores.jsonl`, lines(marks.map((score) => ({ score }))).repeat(copies));
  const run = ["--run", `${folder}/many-run`];
  await measure(process.execPath, [cli, "rate", "many.jsonl", "--judge", "recorded:many.scores.jsonl", ...run], folder);
  const count = Math.floor((rows.length * copies) / 2);
  const script = duckDb(import.meta.resolve("@duckdb/node-api"));
  const theirs = ["--input-type=module", "-e", script, "many.jsonl", "many.scores.jsonl", "kept.jsonl", String(count)];
  const seconds = async (...args: string[]) => (await measure(process.execPath, args, folder)).seconds;
  const { a, b, ratio } = await compareInTurn(
    3,
    () => seconds(cli, "select", "--top", String(count), ...run),
    () => seconds(...theirs),
  );
  const byScore = await seconds(cli, "select", "--by", "2 * score", "--top", String(count), ...run);
  console.log(
    `select: --top ${count} of ${rows.length * copies} rows ${a.toFixed(1)} s (--by "2 * score" ${byScore.toFixed(1)} s), DuckDB's sort and write ${b.toFixed(1)} s, ratio ${ratio.toFixed(1)} (medians of 3 in turn; the aim is at most 2)`,
  );
}
