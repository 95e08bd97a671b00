import { styleText } from "node:util";
import type { Bin } from "../../stats/histogram.ts";
import { formatCount, formatNumbered, formatScore, formatShare, formatThreshold } from "../../format.ts";

const barWidth = 44;
const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** Bars from the lowest score to the highest. A line marks the cut; the rows below that line are kept. */
export function renderHistogram(bins: readonly Bin[], cut?: { readonly score: number; readonly rows: number }): string {
  if (bins.length === 0) return "  no scores";
  const labels = bins.map(({ from, to }) =>
    from === to ? formatScore(from) : `${formatScore(from)} –  ${formatScore(to)}`.replace("–  ", "– "),
  );
  const labelWidth = Math.max("score".length, ...labels.map((label) => label.length));
  const counts = bins.map(({ count }) => formatCount(count));
  const countWidth = Math.max("rows".length, ...counts.map((text) => text.length));
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  const largest = Math.max(...bins.map(({ count }) => count));
  const lines = [`  ${"score".padStart(labelWidth)}  ${"rows".padStart(countWidth)}`];
  let isMarked = false;
  for (const [i, bin] of bins.entries()) {
    const isKept = cut !== undefined && (bin.from === bin.to ? bin.from >= cut.score : bin.to > cut.score);
    if (isKept && !isMarked) {
      isMarked = true;
      lines.push(
        `  ${"─".repeat(labelWidth + countWidth + 4)} cut at ${formatThreshold(cut.score)}: ${formatNumbered(cut.rows, "row", "rows")} kept ${"─".repeat(8)}`,
      );
    }
    const bar = renderBar(bin.count / largest);
    lines.push(
      `  ${labels[i]!.padStart(labelWidth)}  ${counts[i]!.padStart(countWidth)}  ${isKept ? styleText("green", bar) : bar} ${formatShare(bin.count / total)}`,
    );
  }
  return lines.join("\n");
}

function renderBar(share: number): string {
  const length = Math.round(share * barWidth * 8);
  return "█".repeat(Math.floor(length / 8)) + eighths[length % 8]! || (share > 0 ? "▏" : "");
}
