import { packageFolder } from "../package-folder.ts";
import type { Example } from "../dataset/example.ts";
import { formatCount, formatNumbered } from "../format.ts";
import { join } from "node:path";
import { readStudent } from "../student/model-file.ts";
import { createViewer, expectedScore, type StudentModel, type StudentView } from "../student/student.ts";
import type { Judge } from "./judge.ts";
import type { ScoredRating } from "../run/rating.ts";

/** The student that ships with the package. Its model card is in the same folder. */
export const embeddedStudentPath = join(packageFolder, "students", "gpt-4o-mini-alpaca.student");

/**
 * A judge that runs on this machine, without an API key: `student` is the embedded one, `student:FILE` one made by
 * `distill`. Its score is the expected score, rounded to three decimals. Probabilities are rounded to four. Its mark `fits` is
 * the probability that the answer belongs to its prompt and is whole.
 */
export async function createStudentJudge(path?: string, options: StudentJudgeOptions = {}): Promise<Judge> {
  return studentJudge(
    await readStudent(path ?? embeddedStudentPath),
    path === undefined ? "student" : `student:${path}`,
    options,
  );
}

export interface StudentJudgeOptions {
  /** What the embedded student does about rows unlike those that it was trained on: score them (the default), or refuse to. */
  readonly unlike?: "score" | "refuse" | undefined;
}

/** Reads the student model that a judge's name refers to. */
export function readStudentNamed(name: string): Promise<StudentModel> {
  const [, path] = /^student:(.+)$/s.exec(name) ?? [];
  return readStudent(path ?? embeddedStudentPath);
}

/** Makes a judge of a loaded model. */
function studentJudge(model: StudentModel, name: string, { unlike: onUnlike = "score" }: StudentJudgeOptions): Judge {
  const { card } = model;
  const { spearman } = card.heldOut;
  const agreement = `Spearman ${spearman.value.toFixed(2)} with it on ${formatCount(card.heldOut.rows)} rows it had not seen`;
  const unlike = new UnlikeRows();
  const isEmbedded = name === "student";
  return {
    name,
    scale: { min: card.scores[0]!, max: card.scores.at(-1)! },
    markNames: ["fits"],
    get notes() {
      return [
        `imitates ${card.teacher} (${agreement}): a quick first look, not a verdict. It compares words and topics, and knows no facts`,
        `its mark fits tells answers that do not belong to their prompt, or are cut, from whole ones with an AUC of ${card.fit.auc.toFixed(2)}; its score, of ${card.fit.scoreAuc.toFixed(2)}`,
        `trained on ${formatCount(card.trainedOn.rows)} rows of ${card.trainedOn.data}: on those rows, its agreement with its teacher looks better than it is`,
        ...(isEmbedded ? unlike.describe(onUnlike) : []), // what others were trained on is not known
      ];
    },
    async *rate(examples) {
      const view = createViewer(model);
      unlike.clear();
      for await (const batch of examples) {
        yield batch.map((example) => {
          const what = isEmbedded ? unlike.look(example) : undefined;
          return what !== undefined && onUnlike === "refuse"
            ? { state: "refused" as const, detail: `unlike what the student was trained on: ${what}` }
            : toRating(view(example), card.scores);
        });
      }
    },
  };
}

const longText = 8_000; // characters: longer than nearly all of Alpaca
const mostForeign = 0.3; // share of the letters that are not Latin

/** Counts rows unlike those that the embedded student was trained on: short English instructions. */
class UnlikeRows {
  #rows = 0;
  readonly #counts = new Map<string, number>();

  clear(): void {
    this.#rows = 0;
    this.#counts.clear();
  }

  /** In what a row is unlike them, in words; undefined where it is not. */
  look(example: Example): string | undefined {
    if (example.unreadable !== undefined) return undefined;
    this.#rows++;
    const what = unlikeIn(example);
    if (what !== undefined) this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
    return what;
  }

  describe(onUnlike: "score" | "refuse"): string[] {
    const unlike = [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
    if (unlike === 0) return [];
    const told = [scripts, chats, long].flatMap((what) =>
      this.#counts.has(what) ? [`${formatCount(this.#counts.get(what)!)} ${what}`] : [],
    );
    const advice =
      onUnlike === "refuse"
        ? "they have no score"
        : "do not rely on their scores, or leave them without one (--unlike refuse)";
    return [
      `${formatCount(unlike)} of ${formatNumbered(this.#rows, "row", "rows")} ${unlike === 1 ? "is" : "are"} unlike the short English instructions it was trained on (${told.join(", ")}): ${advice}`,
    ];
  }
}

const scripts = "in another script than Latin";
const chats = "conversations of several turns";
const long = `longer than ${formatCount(longText)} characters`;

function unlikeIn({ instruction, input, output, conversation }: Example): string | undefined {
  if (isForeign(instruction) || isForeign(output)) return scripts;
  if (conversation && conversation.turns.length > 1) return chats;
  return instruction.length + input.length + output.length > longText ? long : undefined;
}

const sampled = 2_000; // characters of a text that are looked at

function isForeign(text: string): boolean {
  const start = text.slice(0, sampled);
  if (!/[^\s!-\u024f]/.test(start)) return false;
  const letters = start.match(/\p{L}/gu)?.length ?? 0;
  const foreign = start.match(/(?!\p{Script=Latin})\p{L}/gu)?.length ?? 0;
  return letters > 0 && foreign / letters > mostForeign;
}

function toRating({ probabilities, fits }: StudentView, scores: readonly number[]): ScoredRating {
  return {
    state: "scored",
    score: Math.round(expectedScore(probabilities, scores) * 1e3) / 1e3,
    probabilities: Array.from(probabilities, (probability) => Math.round(probability * 1e4) / 1e4),
    marks: { fits: Math.round(fits * 1e4) / 1e4 },
  };
}
