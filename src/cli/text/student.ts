import { styleText } from "node:util";
import type { DistillSummary } from "../../stages/distill.ts";
import { formatCount, formatDuration, formatShare } from "../../format.ts";
import { shellWord } from "../../shell-word.ts";
import { plainText } from "./plain-text.ts";
import { renderWarnings } from "./rating.ts";
import { renderTable } from "./table.ts";

/** What `distill` prints when it is done. */
export function renderStudent({ path, bytes, card, lm, rows, scoredRows, alarms, wallMs }: DistillSummary): string {
  const { heldOut, fit } = card;
  const { value, low, high } = heldOut.spearman;
  const figure = (number: number | null) => (number === null ? "-" : number.toFixed(3));
  const table = renderTable(
    ["teacher at least", "rows", "AUC", "precision", "by chance", "calibration error"],
    ["right", "right", "right", "right", "right", "right"],
    heldOut.thresholds.map((line) => [
      String(Number(line.threshold.toFixed(3))),
      formatCount(line.rows),
      figure(line.auc),
      line.precision === null ? "-" : formatShare(line.precision),
      formatShare(line.share),
      line.calibrationError.toFixed(3),
    ]),
  );
  return `
${styleText("bold", `Trained a student of ${plainText(card.teacher)}`)} on ${formatCount(card.trainedOn.rows)} rows in ${formatDuration(wallMs)} (${formatCount(scoredRows)} of ${formatCount(rows)} rows have a score)

  Held-out agreement, from training without ${formatCount(heldOut.rows)} rows and rating them (${heldOut.how}): Spearman ${value.toFixed(3)} (95 % interval ${low.toFixed(3)} to ${high.toFixed(3)})
${table}
  Answers that do not fit their prompt (another row's, cut or repeated ones, refusals): AUC ${fit.auc.toFixed(2)} by its mark fits, ${fit.scoreAuc.toFixed(2)} by its score
  ${formatShare(fit.unfitShare)} of the answers are taken not to fit; without that, its scores would have a Spearman of ${fit.spearmanWithout.toFixed(3)}
${lm ? `  With ${plainText(lm.model)} (student-lm): AUC ${lm.auc.toFixed(2)} by its mark fits, ${lm.scoreAuc.toFixed(2)} by its score, of ${formatCount(lm.rows)} held-out rows; Spearman ${lm.spearman.toFixed(3)}\n` : ""}${renderWarnings(
    alarms,
    [],
  )
    .map((line) => `${line}\n`)
    .join("")}
  student  ${plainText(path)} (${formatCount(bytes / 1000)} kB)
  use it   alpagasus rate DATA --judge ${shellWord(`student${lm ? "-lm" : ""}:${path}`)}
`;
}
