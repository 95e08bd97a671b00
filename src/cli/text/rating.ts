import { styleText } from "node:util";
import type { AgreementRecord, Gate, Manifest } from "../../run/manifest.ts";
import { renderHistogram } from "./histogram.ts";
import { formatCount } from "../../format-count.ts";
import { formatDuration, formatShare } from "./numbers.ts";
import { plainText } from "./plain-text.ts";
import { renderTable } from "./table.ts";

/** What `rate` prints when it is done. */
export function renderRating({ dataset, rate }: Manifest, ratingsPath: string): string {
  const rows = Object.values(rate.states).reduce((sum, count) => sum + count, 0);
  const states = Object.entries(rate.states).map(([state, count]) => `${formatCount(count)} ${state}`);
  const speed = `${formatDuration(rate.wallMs)}, ${formatCount(rows / Math.max(rate.wallMs / 1000, 1e-3))} rows a second`;
  const parts = [
    `\n${styleText("bold", `Rated ${formatCount(rows)} rows of ${plainText(dataset.source)}`)} (${dataset.format}, ${dataset.shape} shape) with ${plainText(rate.judge)} in ${speed}`,
    ...rate.notes.map((note) => `  note: ${plainText(note)}`),
    `\n${renderHistogram(rate.histogram)}\n`,
    `  ${states.join(", ")}${rate.mean === null ? "" : `; mean score ${rate.mean.toFixed(2)}`}`,
    ...renderWarnings(rate.alarms, rate.gates),
    ...(rate.agreement ? [renderAgreement(rate.agreement)] : []),
    `\n  ratings  ${plainText(ratingsPath)}`,
  ];
  return `${parts.join("\n")}\n`;
}

/** Alarms, and gates that did not hold. */
export function renderWarnings(alarms: readonly string[], gates: readonly Gate[]): string[] {
  return [
    ...alarms.map((alarm) => styleText("yellow", `  ALARM: ${plainText(alarm)}`)),
    ...gates.filter((gate) => !gate.held).map((gate) => styleText("red", `  GATE ${gate.name}: ${gate.message}`)),
  ];
}

function renderAgreement({ reference, rows, spearman, thresholds }: AgreementRecord): string {
  const figure = (value: number | null) => (value === null ? "-" : value.toFixed(2));
  const table = renderTable(
    ["reference at least", "rows", "AUC", "precision", "by chance"],
    ["right", "right", "right", "right", "right"],
    thresholds.map((line) => [
      String(line.threshold),
      formatCount(line.rows),
      figure(line.auc),
      line.precision === null ? "-" : formatShare(line.precision),
      formatShare(line.share),
    ]),
  );
  return `\n  Agreement with ${plainText(reference)} on ${formatCount(rows)} rows: Spearman ${figure(spearman.value)} (95 % interval ${figure(spearman.low)} to ${figure(spearman.high)})
${table}
  precision: of as many rows taken from this judge's top, the share that the reference would keep too`;
}
