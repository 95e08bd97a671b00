import { readStudent } from "../student/model-file.ts";
import { createPredictor, expectedScore } from "../student/student.ts";
import type { PairJudge } from "./pair-judge.ts";
import { embeddedStudentPath } from "./student.ts";

const quartile = 0.6745; // of the normal distribution: a difference of this many deviations has the right sign in 3 of 4 cases

/**
 * A pair judge that runs on this machine, without an API key: it scores each answer alone, and the higher score wins. Two
 * scores are a draw if they differ by less than 0.67 standard deviations of a difference. That standard deviation is √2
 * times the student's root mean squared error on held-out rows.
 */
export async function createStudentPairJudge(path?: string): Promise<PairJudge> {
  const model = await readStudent(path ?? embeddedStudentPath);
  const { heldOut, scores: levels, teacher } = model.card;
  const band = quartile * Math.SQRT2 * heldOut.rootMeanSquareError;
  return {
    name: path === undefined ? "student" : `student:${path}`,
    notes: [
      `imitates ${teacher}, who rated answers one by one: a quick first look, not a verdict`,
      `scores less than ${band.toFixed(2)} apart are a draw (by its own error on rows it had not seen)`,
      "it sees each answer alone, so their order has no influence",
    ],
    async *compare(pairs) {
      const predict = createPredictor(model);
      const score = (instruction: string, input: string, output: string) =>
        Math.round(expectedScore(predict({ instruction, input, output }), levels) * 1e3) / 1e3;
      for await (const batch of pairs) {
        yield batch.map(({ instruction, input, answers }) => {
          const scores = { A: score(instruction, input, answers[0]), B: score(instruction, input, answers[1]) };
          const difference = scores.A - scores.B;
          const winner = Math.abs(difference) < band ? "draw" : difference > 0 ? "A" : "B";
          const verdict = { state: "judged", winner, scores } as const;
          return [
            { shownFirst: "A", ...verdict },
            { shownFirst: "B", ...verdict },
          ] as const;
        });
      }
    },
  };
}
