import { styleText } from "node:util";
import type { ArmSummary, WhatIf } from "../../run/records/arm.ts";
import type { RatedManifest } from "../../run/manifest.ts";
import { renderHistogram } from "./histogram.ts";
import { formatCount, formatDuration, formatScore, formatShare, formatThreshold } from "../../format.ts";
import { plainText } from "./plain-text.ts";
import { renderWarnings } from "./rating.ts";
import { renderTable } from "./table.ts";

/** What `select` prints when it is done. */
export function renderSelection(summary: ArmSummary, { rate }: RatedManifest): string {
  const fates = Object.entries(summary.reasons)
    .filter(([reason]) => reason !== "kept")
    .map(([reason, rows]) => `${formatCount(rows)} ${reason}`);
  const isByScore = summary.method === "score" && summary.cut !== null;
  const parts = [
    `\n${styleText("bold", `Kept ${formatCount(summary.rows)} of ${formatCount(summary.totalRows)} rows (${formatShare(summary.share)})`)}: ${plainText(summary.choice)}; ${formatDuration(summary.wallMs)}`,
    ...summary.notes.map((note) => `  note: ${plainText(note)}`),
    ...(isByScore && summary.by !== undefined ? [`\n  by ${plainText(summary.by)}`] : []),
    ...(isByScore
      ? [`\n${renderHistogram(summary.histogram ?? rate.histogram, { score: summary.cut!, rows: summary.rows })}`]
      : []),
    ...(summary.whatIf.length > 0 ? [`\n${renderWhatIf(summary)}`] : []),
    `\n  kept rows: ${describeLengths(summary)}`,
    ...(summary.categories
      ? [
          `  kept by category: ${summary.categories.map(({ category, rows, share }) => `${plainText(category)} ${formatCount(rows)} (${formatShare(share)})`).join(", ")}`,
        ]
      : []),
    ...(summary.watched ? [`\n${renderWatched(summary)}\n`] : []),
    ...(fates.length > 0 ? [`  others: ${fates.join(", ")}`] : []),
    ...renderWarnings(summary.alarms, summary.gates),
    `\n  arm        ${plainText(summary.path)}`,
    `  decisions  ${plainText(summary.decisionsPath)}`,
  ];
  return `${parts.join("\n")}\n`;
}

function renderWatched({ watched = [], rows: all, totalRows }: ArmSummary): string {
  return renderTable(
    ["rows with", "all", "kept", "share"],
    ["left", "right", "right", "right"],
    [
      ...watched.map(({ word, rows, kept }) => [
        plainText(word),
        formatCount(rows),
        formatCount(kept),
        rows === 0 ? "-" : formatShare(kept / rows),
      ]),
      ["(all rows)", formatCount(totalRows), formatCount(all), formatShare(all / totalRows)],
    ],
  );
}

function describeLengths({ meanPromptLength, meanOutputLength, textShare }: ArmSummary): string {
  return `mean prompt ${formatCount(meanPromptLength ?? 0)} and output ${formatCount(meanOutputLength ?? 0)} characters, ${formatShare(textShare)} of all text`;
}

function renderWhatIf({ whatIf, full, cut }: ArmSummary): string {
  const lines = [...whatIf];
  const hasTime = whatIf.some((line) => line.trainingMinutes !== undefined);
  const hasMoney = whatIf.some((line) => line.trainingUsd !== undefined);
  const hasCategories = whatIf.some((line) => line.categories);
  const header = [
    "at least",
    "rows",
    "share",
    "prompt",
    "output",
    "text",
    "training",
    ...(hasTime ? ["minutes"] : []),
    ...(hasMoney ? ["USD"] : []),
    ...(hasCategories ? ["largest categories"] : []),
  ];
  const row = (label: string, line: WhatIf) => [
    label,
    formatCount(line.rows),
    formatShare(line.share),
    formatCount(line.meanPromptLength),
    formatCount(line.meanOutputLength),
    formatShare(line.textShare),
    line.trainingShare > 0 ? `${(1 / line.trainingShare).toFixed(1)}× less` : "-",
    ...(hasTime ? [(line.trainingMinutes ?? 0).toFixed(1)] : []),
    ...(hasMoney ? [(line.trainingUsd ?? 0).toFixed(2)] : []),
    ...(hasCategories ? [describeCategories(line)] : []),
  ];
  const rows = lines.map((line) =>
    row(line.threshold === cut ? `→ ${formatThreshold(line.threshold)}` : formatScore(line.threshold), line),
  );
  if (full) rows.unshift(row("all rows", full));
  const align = header.map((title) => (title === "largest categories" ? ("left" as const) : ("right" as const)));
  return `  What each threshold would keep (lengths: mean characters; training: steps compared with all rows)\n${renderTable(header, align, rows)}`;
}

function describeCategories({ categories = [] }: WhatIf): string {
  return categories
    .slice(0, 3)
    .map(({ category, share }) => `${plainText(category).slice(0, 24)} ${formatShare(share)}`)
    .join(", ");
}
