import { openDataset } from "../src/dataset/open.ts";
import type { Example } from "../src/dataset/example.ts";
import { embeddedStudentPath } from "../src/judge/student.ts";
import { readStudent } from "../src/student/model-file.ts";
import { createPredictor } from "../src/student/student.ts";
import { measure, median } from "./measure.ts";
import type { Bench } from "./run.ts";

/** Rating Alpaca-52k with the student: the whole process, and the scoring loop alone. */
export async function benchRate({ folder, alpaca, cli }: Bench): Promise<void> {
  const data = `${alpaca}/alpaca_data.json`;
  const whole: number[] = [];
  for (let i = 0; i < 5; i++) whole.push((await measure(process.execPath, [cli, "rate", data], folder)).seconds);

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
