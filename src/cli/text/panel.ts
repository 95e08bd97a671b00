import { styleText } from "node:util";
import type { EscalationRecord, PanelCorrection, PanelSummary } from "../../run/records/rating.ts";
import { formatCount, formatNumbered, formatScore, formatShare } from "../../format.ts";
import { runFlag } from "../../run/run-folder.ts";
import { ratingStates } from "../../run/rating.ts";
import { renderHistogram } from "./histogram.ts";
import { plainText } from "./plain-text.ts";
import { renderTable } from "./table.ts";

const shownDisagreements = 5;

interface Estimate {
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/** A panel's result: each judge's scores, how far the judges agree, and the correction. */
export function renderPanel({ judges, agreements, disagreements, correction, uncorrected }: PanelSummary): string[] {
  const rows = disagreements
    .slice(0, shownDisagreements)
    .map(({ index, scores }) => [String(index), ...scores.map((score) => (score === null ? "-" : formatScore(score)))]);
  const numberOf = (name: string) => `judge ${judges.findIndex(({ judge }) => judge === name) + 1}`;
  return [
    ...judges.flatMap(({ judge, mean, histogram, states }, i) => [
      `\n  ${styleText("bold", `judge ${i + 1}  ${plainText(judge)}`)}${mean === null ? "" : `, mean ${mean.toFixed(2)}`}${describeStates(states)}`,
      renderHistogram(histogram),
    ]),
    `\n  ${styleText("bold", "How far they agree")}`,
    renderTable(
      ["judges", "rows", "Spearman", "weighted kappa"],
      ["left", "right", "left", "left"],
      agreements.map(({ a, b, rows: both, spearman, kappa }) => [
        `${numberOf(a)} and ${numberOf(b)}`,
        formatCount(both),
        figure(spearman),
        figure(kappa),
      ]),
    ),
    ...(rows.length > 0
      ? [
          `\n  The ${formatNumbered(rows.length, "row", "rows")} with the largest disagreement (more in run.json)`,
          renderTable(
            ["row", ...judges.map((_, i) => `judge ${i + 1}`)],
            ["right", ...judges.map(() => "right" as const)],
            rows,
          ),
        ]
      : []),
    ...(correction ? renderCorrection(correction) : []),
    ...(uncorrected === undefined ? [] : [`  not corrected for the judges' errors: ${plainText(uncorrected)}`]),
  ];
}

function renderCorrection({ judges, rows, path, gain }: PanelCorrection): string[] {
  return [
    `\n  ${styleText("bold", "Corrected for each judge's estimated errors")} (from ${formatCount(rows)} rows: nearly identical rows should score alike; no labels)`,
    renderTable(
      [
        "",
        "estimated right",
        "correction applied",
        ...judges.map((_, i) => `Spearman with judge ${i + 1}, raw and corrected`),
      ],
      ["left", "right", "right", ...judges.map(() => "left" as const)],
      judges.map(({ judge, consistentShare, weight, agreements }, i) => [
        `judge ${i + 1}`,
        formatShare(consistentShare),
        formatShare(weight),
        ...agreements.map(({ with: other, raw, corrected }) =>
          other === judge ? `-, ${short(corrected)}` : `${short(raw)}, ${short(corrected)}`,
        ),
      ]),
    ),
    `  each correction is applied as far as it brings a judge closer to the others' raw scores, which it has not seen; the mean's correlation with what the judges have in common is estimated to grow by a factor of ${gain.value.toFixed(2)} [${gain.low.toFixed(2)}, ${gain.high.toFixed(2)}]`,
    `  corrected  ${plainText(path)} (to use: --judge recorded:${plainText(path)}#score)`,
  ];
}

/** The result of a student that escalated rows to another judge. */
export function renderEscalation(
  { student, to, asked, rows, minScore, kept, precision, recall, alone }: EscalationRecord,
  run: string,
): string[] {
  const share = (value: number | null) => (value === null ? "-" : formatShare(value));
  const range = ({ value, low, high }: Estimate) =>
    value === null ? "-" : `${formatShare(value)} [${share(low)}, ${share(high)}]`;
  return [
    `\n  ${styleText("bold", `${formatCount(kept)} rows reach ${formatScore(minScore)}`)}, ${formatCount(asked)} of ${formatCount(rows)} rows escalated (${formatShare(asked / rows)})`,
    renderTable(
      ["compared with escalating every row (estimates)", "precision", "recall"],
      ["left", "left", "left"],
      [
        [plainText(`${student}, and ${to} where it is not sure`), range(precision), range(recall)],
        [plainText(`${student} alone, as many rows`), share(alone.precision), share(alone.recall)],
      ],
    ),
    `  next: alpagasus select --min-score ${formatScore(minScore)}${runFlag(run)}`,
  ];
}

function describeStates(states: PanelSummary["judges"][number]["states"]): string {
  const others = ratingStates.flatMap((state) =>
    state === "scored" || states[state] === undefined ? [] : [`${formatCount(states[state])} ${state}`],
  );
  return others.length > 0 ? `; ${others.join(", ")}` : "";
}

function short({ value }: Estimate): string {
  return value === null ? "-" : value.toFixed(2);
}

function figure({ value, low, high }: Estimate): string {
  return value === null ? "-" : `${value.toFixed(3)} [${(low ?? NaN).toFixed(3)}, ${(high ?? NaN).toFixed(3)}]`;
}
