import { hasSeveralTurns } from "../dataset/conversation.ts";
import type { Example } from "../dataset/example.ts";
import { UsageError } from "../errors.ts";
import { formatCount } from "../format.ts";
import type { Rating } from "../run/rating.ts";
import { cosine } from "../stats/cosine.ts";
import { fitLogOdds, judgeFit, lmLogOdds, raiseBy } from "../student/lm-head.ts";
import { promptText } from "../student/lm-texts.ts";
import { readStudent } from "../student/model-file.ts";
import { createViewer, expectedScore, lowerBy } from "../student/student.ts";
import { findUnlike, UnlikeRows } from "../student/unlike.ts";
import type { Embedded, LocalEmbedder } from "../vectors/embedded.ts";
import type { Judge } from "./judge.ts";
import { embeddedStudentPath, type StudentJudgeOptions } from "./student.ts";

export interface StudentLmOptions extends StudentJudgeOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * A student with a language model: `student-lm`, or `student-lm:FILE` of a student that `distill --lm` made. It scores as the student does,
 * and sees better whether an answer fits its prompt: by vectors of both, which Python makes on this machine and which are kept. Opening it
 * loads no model.
 *
 * @throws UsageError when the student was made without a language model
 */
export async function createStudentLmJudge(path?: string, options: StudentLmOptions = {}): Promise<Judge> {
  const student = await readStudent(path ?? embeddedStudentPath);
  const { card, lm } = student;
  if (!lm)
    throw new UsageError(
      `${path}: expected a student that was made with a language model (distill --lm minilm), got one without; use student:${path}, or distil it again`,
    );
  const { scores } = card;
  const unlike = new UnlikeRows();
  const isEmbedded = path === undefined;
  const view = createViewer(student);
  let embedder: LocalEmbedder | undefined;

  const rateOne = (example: Example, prompt: Embedded, answer: Embedded): Rating => {
    const what = isEmbedded ? unlike.add(findUnlike(example, hasSeveralTurns(example))) : undefined;
    if (what !== undefined && options.unlike === "refuse")
      return { state: "refused", detail: `unlike what the student was trained on: ${what}` };
    const failed = [prompt, answer].find(({ state }) => state === "failed" || state === "pending");
    if (failed) return { state: "failed", detail: ("detail" in failed && failed.detail) || "its text got no vector" };
    const { probabilities, fits } = view(example);
    const logOdds = lmLogOdds(
      {
        fitLogOdds: fitLogOdds(fits, card.fit.unfitShare),
        cosine: "vector" in prompt && "vector" in answer ? cosine(prompt.vector, answer.vector) : 0,
        promptLength: promptText(example).length,
        answerLength: example.output.length,
      },
      lm,
    );
    const judged = judgeFit(logOdds, lm);
    const lowered = raiseBy(fits, probabilities);
    lowerBy(judged.factor, lowered);
    return {
      state: "scored",
      score: round(expectedScore(lowered, scores), 1e3),
      probabilities: Array.from(lowered, (probability) => round(probability, 1e4)),
      marks: { fits: round(judged.fits, 1e4) },
    };
  };

  return {
    name: isEmbedded ? "student-lm" : `student-lm:${path}`,
    scale: { min: scores[0]!, max: scores.at(-1)! },
    markNames: ["fits"],
    work() {
      const { done, phase } = embedder?.work() ?? { done: 0, phase: undefined };
      return { done: Math.floor(done / 2), phase };
    },
    get notes() {
      const { heldOut } = lm;
      return [
        `student-lm imitates ${card.teacher} (Spearman ${heldOut.spearman.toFixed(2)} with it on ${formatCount(heldOut.rows)} rows it had not seen): a first look, not a verdict. It compares texts, and knows no facts`,
        `on held-out rows, the mark fits tells answers that do not belong to their prompt, or are cut, from whole ones with an AUC of ${heldOut.auc.toFixed(2)}, and the score with ${heldOut.scoreAuc.toFixed(2)}`,
        ...(isEmbedded ? unlike.describe(options.unlike ?? "score") : []),
        ...(embedder?.notes() ?? []).map((note) => `vectors ${note}`),
      ];
    },
    async *rate(examples) {
      const { openLocalEmbedder } = await import("../vectors/local-embedder.ts");
      unlike.clear();
      const opened = (embedder = await openLocalEmbedder({ model: lm.model, signal: options.signal }));
      const waiting: Example[] = [];
      async function* texts() {
        for await (const batch of examples) {
          waiting.push(...batch);
          yield batch.flatMap((example) => [promptText(example), example.output]);
        }
      }
      let vectors: Embedded[] = [];
      try {
        for await (const embedded of opened.embed(texts())) {
          vectors.push(...embedded);
          const rows = Math.floor(vectors.length / 2);
          yield waiting.splice(0, rows).map((example, i) => rateOne(example, vectors[2 * i]!, vectors[2 * i + 1]!));
          vectors = vectors.slice(2 * rows);
        }
      } finally {
        await opened.close();
      }
    },
  };
}

function round(value: number, steps: number): number {
  return Math.round(value * steps) / steps;
}
