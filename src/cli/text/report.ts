import { pathToFileURL } from "node:url";
import { styleText } from "node:util";
import { formatCount, formatNumbered } from "../../format.ts";
import type { ReportSummary } from "../../stages/report.ts";
import { runFlag } from "../../run/run-folder.ts";
import { plainText } from "./plain-text.ts";

/** What `report` prints. */
export function renderReport({
  run,
  path,
  bytes,
  jsonPath,
  rows,
  pairs,
  leftOut,
  isComplete,
  problems,
}: ReportSummary): string {
  const isMore = leftOut.rows + leftOut.pairs > 0;
  const inside = [
    `${formatNumbered(rows, "row", "rows")}${pairs > 0 ? ` and ${formatNumbered(pairs, "pair", "pairs")}` : ""} with their texts`,
    ...(leftOut.rows > 0 ? [`${formatCount(leftOut.rows)} more rows are counted, not shown`] : []),
    ...(leftOut.pairs > 0 ? [`${formatCount(leftOut.pairs)} more pairs likewise`] : []),
  ];
  const lines = [
    `\n${styleText("bold", "Report")}  ${plainText(path)} (${(bytes / 1e6).toFixed(1)} MB): ${inside.join("; ")}`,
    `  open    ${plainText(pathToFileURL(path).href)}`,
    `  figures ${plainText(jsonPath)}`,
    ...problems.map((problem) => `  problem: ${plainText(problem)}`),
    ...(isMore && isComplete ? [`  alpagasus view${runFlag(run)} shows every row and pair`] : []), // else it has no rows either
  ];
  return `${lines.join("\n")}\n`;
}
