import { readFile } from "node:fs/promises";
import { openDataset } from "../src/dataset/open.ts";
import { createRecordedJudge } from "../src/judge/recorded.ts";
import { embeddedStudentPath } from "../src/judge/student.ts";
import { measureAgreement } from "../src/stats/agreement.ts";
import { distill } from "../src/stages/distill.ts";
import { measureProbabilities } from "../src/student/distill.ts";
import { readStudent } from "../src/student/model-file.ts";
import { createPredictor, expectedScore, type StudentModel } from "../src/student/student.ts";
import type { Bench } from "./run.ts";

/** The student on the 10,000 held-out rows, against its teacher and others, by the number of rows it was trained on. */
export async function benchStudent({ folder, alpaca }: Bench): Promise<void> {
  const dataset = await openDataset(`${alpaca}/alpaca_data.json`);
  const read = async (name: string) => JSON.parse(await readFile(`${alpaca}/${name}`, "utf8")) as number[];
  const teacher = await read("ratings.gpt-4o-mini.json");
  const llama = await read("ratings.llama-3.1-8b-instruct.json");
  const claude = new Set(await read("claude_accuracy_at_least_4.5.indices.json"));
  const split = await read("student_split.json");
  const test = new Set(split.slice(0, 10_000));

  const predictAll = async (model: StudentModel) => {
    const predict = createPredictor(model);
    const rows: number[] = [];
    const lengths: number[] = [];
    const probabilities: number[] = [];
    for await (const batch of dataset.batches()) {
      for (const example of batch) {
        if (!test.has(example.index)) continue;
        rows.push(example.index);
        lengths.push(example.output.length);
        probabilities.push(...predict(example));
      }
    }
    return { rows, lengths, probabilities: Float64Array.from(probabilities) };
  };
  const figures = async (label: string, model: StudentModel, seconds?: number) => {
    const { rows, probabilities } = await predictAll(model);
    const { spearman, thresholds } = measureProbabilities(
      probabilities,
      rows.map((index) => teacher[index]!),
      model.card.scores,
      "test",
    );
    const three = thresholds.find(({ threshold }) => threshold === 3)!;
    console.log(
      `student: ${label}: Spearman ${spearman.value.toFixed(3)} [${spearman.low.toFixed(3)}, ${spearman.high.toFixed(3)}], AUC of >= 3 ${three.auc!.toFixed(3)}, precision of the top ${(100 * three.share).toFixed(2)} % ${three.precision!.toFixed(3)}, calibration error ${three.calibrationError.toFixed(3)}${seconds === undefined ? "" : `, trained in ${seconds.toFixed(1)} s with its held-out folds`}`,
    );
  };

  const shipped = await readStudent(embeddedStudentPath);
  await figures("as shipped (42,002 rows)", shipped);
  for (const count of [1000, 2000, 5000, 10_000]) {
    const chosen = new Set(split.slice(14_000, 14_000 + count));
    const recorded = await createRecordedJudge(`${alpaca}/ratings.gpt-4o-mini.json`);
    const out = `${folder}/${count}.student`;
    const judge = {
      ...recorded,
      async *rate(examples: Parameters<typeof recorded.rate>[0]) {
        let row = 0;
        for await (const batch of recorded.rate(examples))
          yield batch.map((rating) => (chosen.has(row++) ? rating : { state: "pending" as const }));
      },
    };
    const { wallMs } = await distill(dataset, { teacher: judge, out });
    await figures(`trained on ${count.toLocaleString("en")} rows`, await readStudent(out), wallMs / 1000);
  }

  const { rows, lengths, probabilities } = await predictAll(shipped);
  const classes = shipped.card.scores.length;
  const expected = rows.map((_, i) =>
    expectedScore(probabilities.subarray(i * classes, (i + 1) * classes), shipped.card.scores),
  );
  const onLlama = rows.map((index) => llama[index]!);
  const onClaude = rows.map((index) => (claude.has(index) ? 1 : 0));
  const onTeacher = rows.map((index) => teacher[index]!);
  console.log(
    `student: against Llama-3.1-8B's ratings Spearman ${measureAgreement(expected, onLlama).spearman.value.toFixed(3)} (plain length ${measureAgreement(lengths, onLlama).spearman.value.toFixed(3)}); against Claude's list AUC ${measureAgreement(expected, onClaude).thresholds[0]!.auc.toFixed(3)} (length ${measureAgreement(lengths, onClaude).thresholds[0]!.auc.toFixed(3)}); length against the teacher ${measureAgreement(lengths, onTeacher).spearman.value.toFixed(3)}`,
  );
}
