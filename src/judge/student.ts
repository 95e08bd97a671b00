import { packageFolder } from "../package-folder.ts";
import { hasSeveralTurns } from "../dataset/conversation.ts";
import type { Example } from "../dataset/example.ts";
import { formatCount } from "../format.ts";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { readStudent } from "../student/model-file.ts";
import type { StudentModel } from "../student/student.ts";
import { describeWeakness } from "../student/weakness.ts";
import { UnlikeRows } from "../student/unlike.ts";
import { createRowsViewer, viewColumns, viewWidth, type ViewedRow } from "../student/view-rows.ts";
import { blocksAhead, startViewThreads, threadCount, type ViewThreads } from "../student/view-threads.ts";
import type { Judge } from "./judge.ts";
import type { Rating, ScoredRating } from "../run/rating.ts";
import { mapInBlocks } from "../in-blocks.ts";

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
        `the student imitates ${card.teacher} (${agreement}): a quick first look, not a verdict. It compares words and topics, and knows no facts`,
        `on held-out rows, the mark fits tells answers that do not belong to their prompt, or are cut, from whole ones with an AUC of ${card.fit.auc.toFixed(2)}, and the score with ${card.fit.scoreAuc.toFixed(2)}`,
        `the student was trained on ${formatCount(card.trainedOn.rows)} rows of ${card.trainedOn.data}: on those rows, its agreement with its teacher looks better than it is`,
        ...(isEmbedded && !(unlike.areMost && onUnlike === "score") ? unlike.describe(onUnlike) : []), // what others were trained on is not known
      ];
    },
    get alarms() {
      const doubt = describeWeakness(card);
      return [
        ...(doubt === undefined ? [] : [`${name}: ${doubt}`]),
        ...(isEmbedded && unlike.areMost && onUnlike === "score" ? unlike.describe(onUnlike) : []),
      ];
    },
    async *rate(examples) {
      await using viewer = openRowsViewer(model);
      const width = viewWidth(model);
      unlike.clear();
      const rateBlock = async (block: readonly Example[]): Promise<readonly Rating[]> => {
        const views = await viewer.view(block.map(toViewed));
        return block.map((_, i) => {
          const view = views.subarray(i * width, (i + 1) * width);
          const what = isEmbedded ? unlike.add(view[viewColumns.unlike]!) : undefined;
          return what !== undefined && onUnlike === "refuse"
            ? { state: "refused", detail: `unlike what the student was trained on: ${what}` }
            : toRating(view);
        });
      };
      yield* mapInBlocks(withTurns(examples), rateBlock, rowsInFlight);
    },
  };
}

const rowsInFlight = 256 * (threadCount * blocksAhead + 1); // so that no thread waits for rows

/** Lets the threads' results come in between batches. */
async function* withTurns(examples: AsyncIterable<readonly Example[]>): AsyncGenerator<readonly Example[]> {
  for await (const batch of examples) {
    yield batch;
    await setImmediate();
  }
}

/** Where rows are many, threads view them; the first are rated before these have started. */
const fewRows = 8_192;

/** Creates a function that views rows, and that stops its threads. */
function openRowsViewer(model: StudentModel) {
  const viewHere = createRowsViewer(model);
  let threads: ViewThreads | undefined;
  let seen = 0;
  return {
    view(block: readonly ViewedRow[]): Promise<Float64Array> {
      seen += block.length;
      if (seen > fewRows && threadCount > 0) threads ??= startViewThreads(model);
      return (isLarge(block) ? undefined : threads?.view(block)) ?? Promise.resolve(viewHere(block));
    },
    async [Symbol.asyncDispose]() {
      await threads?.[Symbol.asyncDispose]();
    },
  };
}

const mostCharacters = 2 ** 24; // in one message

function isLarge(block: readonly ViewedRow[]): boolean {
  let characters = 0;
  for (const { instruction, input, output } of block) characters += instruction.length + input.length + output.length;
  return characters > mostCharacters;
}

function toViewed(example: Example): ViewedRow {
  const { instruction, input, output } = example;
  return { instruction, input, output, hasTurns: hasSeveralTurns(example) };
}

function toRating(view: Float64Array): ScoredRating {
  return {
    state: "scored",
    score: view[viewColumns.score]!,
    probabilities: Array.from(view.subarray(viewColumns.probabilities)),
    marks: { fits: view[viewColumns.fits]! },
  };
}
