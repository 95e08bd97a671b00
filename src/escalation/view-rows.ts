import type { Example } from "../dataset/example.ts";
import { standardiseColumns } from "../stats/standardise.ts";
import { inputCount } from "../student/network.ts";
import { createViewer, expectedScore, type StudentModel } from "../student/student.ts";
import type { CheapView } from "./escalation.ts";

const mostFullRows = 300_000; // with more, only the hidden units are kept: a hundred numbers per row would take gigabytes
const paperShare = 0.1775; // of Alpaca that AlpaGasus kept; used where the threshold is off the student's scale
const leastProbability = 1e-4; // added to probabilities before taking logarithms
const leastShare = 0.005;
const sharpness = 3; // slope of the logit per standard deviation of the student's score, in that case

/**
 * A student's view of all rows with respect to a score threshold.
 *
 * @param examples gives all of them; each call starts from the beginning
 * @param cut the threshold, on another judge's scale; the student's scale is taken to be the same where it reaches the cut
 */
export async function viewRows(
  model: StudentModel,
  examples: () => AsyncIterable<readonly Example[]>,
  cut: number,
  onRows?: (rows: number) => void,
): Promise<CheapView> {
  const { scores: levels } = model.card;
  const { hiddenSize } = model.score.weights;
  let rows = 0;
  for await (const batch of examples()) rows += batch.length;
  const featureCount = rows > mostFullRows ? hiddenSize : hiddenSize + inputCount + levels.length;
  const columnCount = featureCount + 2;
  const columns = new Float32Array(rows * columnCount);
  const probabilities = new Float64Array(rows);
  const scores = new Float64Array(rows);
  const viewExample = createViewer(model);
  let row = 0;
  for await (const batch of examples()) {
    for (const example of batch) {
      const { probabilities: own, hidden, input } = viewExample(example);
      const at = row * columnCount;
      columns[at] = 1;
      columns.set(hidden, at + 2);
      if (featureCount > hiddenSize) {
        columns.set(input, at + 2 + hiddenSize);
        for (const [c, p] of own.entries())
          columns[at + 2 + hiddenSize + inputCount + c] = Math.log(p + leastProbability);
      }
      probabilities[row] = levels.reduce((sum, level, c) => sum + (level >= cut ? own[c]! : 0), 0);
      scores[row] = expectedScore(own, levels);
      row++;
    }
    onRows?.(row);
  }
  const share = probabilities.reduce((sum, p) => sum + p, 0) / Math.max(1, rows);
  if (!(share > leastShare && share < 1 - leastShare)) setByRank(probabilities, scores);
  for (let r = 0; r < rows; r++) {
    const p = Math.min(1 - 1e-6, Math.max(1e-6, probabilities[r]!));
    columns[r * columnCount + 1] = Math.log(p / (1 - p));
  }
  standardiseColumns(columns, rows, columnCount, 2);
  return { rows, probabilities, columns, columnCount };
}

/** Sets probabilities by the student's scores alone, where the cut is off its scale. */
function setByRank(probabilities: Float64Array, scores: Float64Array): void {
  const sorted = scores.toSorted();
  const cut = sorted[Math.floor((1 - paperShare) * (sorted.length - 1))] ?? 0;
  const mean = scores.reduce((sum, score) => sum + score, 0) / Math.max(1, scores.length);
  const deviation =
    Math.sqrt(scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / Math.max(1, scores.length)) || 1;
  for (const [row, score] of scores.entries())
    probabilities[row] = 1 / (1 + Math.exp((-sharpness * (score - cut)) / deviation));
}
