import { packageFolder } from "../package-folder.ts";
import { formatCount } from "../format.ts";
import { join } from "node:path";
import { readStudent } from "../student/model-file.ts";
import { createPredictor, expectedScore, type StudentModel } from "../student/student.ts";
import type { Judge } from "./judge.ts";
import type { ScoredRating } from "../run/rating.ts";

/** The student that ships with the package. Its model card is in the same folder. */
export const embeddedStudentPath = join(packageFolder, "students", "gpt-4o-mini-alpaca.student");

/**
 * A judge that runs on this machine, without an API key: `student` is the embedded one, `student:FILE` one made by
 * `distill`. Its score is the expected score, rounded to three decimals. Probabilities are rounded to four.
 */
export async function createStudentJudge(path?: string): Promise<Judge> {
  return studentJudge(
    await readStudent(path ?? embeddedStudentPath),
    path === undefined ? "student" : `student:${path}`,
  );
}

/** Reads the student model that a judge's name refers to. */
export function readStudentNamed(name: string): Promise<StudentModel> {
  const [, path] = /^student:(.+)$/s.exec(name) ?? [];
  return readStudent(path ?? embeddedStudentPath);
}

/** Makes a judge of a loaded model. */
function studentJudge(model: StudentModel, name: string): Judge {
  const { card } = model;
  const { spearman } = card.heldOut;
  const agreement = `Spearman ${spearman.value.toFixed(2)} with it on ${formatCount(card.heldOut.rows)} rows it had not seen`;
  return {
    name,
    scale: { min: card.scores[0]!, max: card.scores.at(-1)! },
    notes: [
      `imitates ${card.teacher} (${agreement}): a quick first look, not a verdict`,
      `trained on ${formatCount(card.trainedOn.rows)} rows of ${card.trainedOn.data}: on those rows, its agreement with its teacher looks better than it is`,
    ],
    async *rate(examples) {
      const predict = createPredictor(model);
      for await (const batch of examples) yield batch.map((example) => toRating(predict(example), card.scores));
    },
  };
}

function toRating(probabilities: Float64Array, scores: readonly number[]): ScoredRating {
  return {
    state: "scored",
    score: Math.round(expectedScore(probabilities, scores) * 1e3) / 1e3,
    probabilities: Array.from(probabilities, (probability) => Math.round(probability * 1e4) / 1e4),
  };
}
