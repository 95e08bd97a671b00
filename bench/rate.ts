import { mkdir, open, readFile } from "node:fs/promises";
import { openDataset } from "../src/dataset/open.ts";
import type { Example } from "../src/dataset/example.ts";
import { embeddedStudentPath } from "../src/judge/student.ts";
import { readStudent } from "../src/student/model-file.ts";
import { createPredictor } from "../src/student/student.ts";
import { measure, median } from "./measure.ts";
import type { Bench } from "./run.ts";

const manyRows = 500_000;

/** Writes rows of Alpaca, over and over. */
async function writeMany(folder: string, data: string): Promise<string> {
  const rows = (JSON.parse(await readFile(data, "utf8")) as object[]).map((row) => `${JSON.stringify(row)}\n`);
  const path = `${folder}/many.jsonl`;
  const file = await open(path, "w");
  for (let at = 0; at < manyRows; at += rows.length) await file.write(rows.slice(0, manyRows - at).join(""));
  await file.close();
  return path;
}

/** Rating Alpaca-52k with the student: the whole process, by one core and two, and the scoring loop alone. */
export async function benchRate({ folder, alpaca, cli }: Bench): Promise<void> {
  const data = `${alpaca}/alpaca_data.json`;
  const whole: number[] = [];
  for (let i = 0; i < 5; i++) whole.push((await measure(process.execPath, [cli, "rate", data], folder)).seconds);

  const many = await writeMany(folder, data);
  const byCores = (cores: string) =>
    measure("taskset", ["-c", cores, process.execPath, cli, "rate", many, "--run", "many"], folder);
  await mkdir(`${folder}/beside`);
  const both = await byCores("0,1");
  const one = await byCores("0");
  const [a, b] = await Promise.all([
    byCores("0"),
    measure("taskset", ["-c", "1", process.execPath, cli, "rate", many], `${folder}/beside`),
  ]);
  const ideal = (2 * one.seconds) / Math.max(a.seconds, b.seconds);
  console.log(
    `rate: ${manyRows.toLocaleString("en")} rows with the student, two cores ${both.seconds.toFixed(1)} s and ${both.peakMegabytes.toFixed(0)} MB, one ${one.seconds.toFixed(1)} s and ${one.peakMegabytes.toFixed(0)} MB (${(one.seconds / both.seconds).toFixed(2)} times; two processes of one core each, side by side, do ${ideal.toFixed(2)} times as much as one; the aim is 1.8)`,
  );

  const examples: Example[] = [];
  for await (const batch of (await openDataset(data)).batches()) examples.push(...batch);
  const predict = createPredictor(await readStudent(embeddedStudentPath));
  const rates: number[] = [];
  for (let i = 0; i < 7; i++) {
    const startedAt = performance.now();
    for (const example of examples) predict(example);
    rates.push(examples.length / ((performance.now() - startedAt) / 1000));
  }
  console.log(
    `rate: Alpaca-52k with the student, whole process ${median(whole).toFixed(2)} s (median of 5); scoring loop alone ${Math.round(median(rates)).toLocaleString("en")} rows a second on one core (median of 7, best ${Math.round(Math.max(...rates)).toLocaleString("en")}; the aim is 100,000)`,
  );
}
