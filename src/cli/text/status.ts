import { styleText } from "node:util";
import type { RunStatus } from "../../stages/status.ts";
import { formatCount } from "../../format-count.ts";
import { formatScore, formatShare } from "./numbers.ts";
import { plainText } from "./plain-text.ts";
import { renderTable } from "./table.ts";

/** What `status` prints. */
export function renderStatus({ run, dataset, rate, arms, next }: RunStatus): string {
  if (!dataset || !rate) return `\n${plainText(run)}: nothing rated yet\n\n  next  ${plainText(next)}\n`;
  const lines = [
    `\n${styleText("bold", plainText(run))}`,
    `  data     ${plainText(dataset.source)}: ${formatCount(dataset.rows)} rows, ${dataset.format}, ${dataset.shape} shape${attention(dataset.state)}`,
    `  ratings  by ${plainText(rate.judge)}: ${formatShare(rate.coverage)} scored${rate.mean === null ? "" : `, mean ${rate.mean.toFixed(2)}`}${attention(rate.state)}`,
    ...rate.alarms.map((alarm) => styleText("yellow", `  ALARM: ${plainText(alarm)}`)),
  ];
  if (arms.length > 0) {
    const rows = arms.map((arm) => [
      arm.arm,
      formatCount(arm.rows),
      formatShare(arm.share),
      arm.cut === null ? "-" : formatScore(arm.cut),
      plainText(arm.choice),
      arm.isStale ? "stale: data or ratings changed" : arm.state,
    ]);
    lines.push(
      "",
      renderTable(
        ["arm", "rows", "share", "cut", "choice", "state"],
        ["left", "right", "right", "right", "left", "left"],
        rows,
      ),
    );
  }
  return `${lines.join("\n")}\n\n  next  ${plainText(next)}\n`;
}

function attention(state: string): string {
  return state === "present" ? "" : styleText("yellow", ` (${state} since)`);
}
