import { styleText } from "node:util";
import { formatCount, formatNumbered, formatShare } from "../../format.ts";
import type { LabelsSummary } from "../../page/people-labels.ts";
import { plainText } from "./plain-text.ts";
import { renderTable } from "./table.ts";

type Estimate = LabelsSummary["winRate"];

/** What `labels` prints. */
export function renderLabels({
  a,
  b,
  annotators,
  pairs,
  majority,
  winRate,
  kappa,
  betweenTwo,
  judges,
  notes,
}: LabelsSummary): string {
  const { win, tie, lose, undecided } = majority;
  const parts = [
    `\n${styleText("bold", `${plainText(a)} against ${plainText(b)}`)}, by ${formatNumbered(annotators.length, "person", "people")} on ${formatNumbered(pairs, "pair", "pairs")}`,
    `  win rate by people  ${share(winRate)}, ties as halves`,
    `  most votes          ${formatNumbered(win, "win", "wins")}, ${formatNumbered(tie, "tie", "ties")}, ${formatNumbered(lose, "loss", "losses")}${undecided > 0 ? `; no answer has most votes in ${formatCount(undecided)}` : ""}`,
    ...(annotators.length > 1
      ? [
          `  people agree        Fleiss' kappa ${number(kappa)} over ${formatNumbered(kappa.pairs, "pair", "pairs")} of at least two labels`,
        ]
      : []),
    ...notes.map((note) => `  note: ${note}`),
    "",
    renderTable(
      ["annotator", "labelled", "skipped", "win rate", "as before, of pairs shown again"],
      ["left", "right", "right", "right", "right"],
      annotators.map(({ annotator, labelled, skipped, winRate: own, consistency, repeats }) => [
        plainText(annotator),
        formatCount(labelled),
        formatCount(skipped),
        share(own),
        repeats === 0 ? "-" : `${share(consistency)} of ${formatCount(repeats)}`,
      ]),
    ),
    ...(betweenTwo.length === 0
      ? []
      : [
          "",
          renderTable(
            ["two people", "Cohen's kappa", "same label"],
            ["left", "right", "right"],
            betweenTwo.map(({ one, other, kappa: own, pairs: shared, agreed }) => [
              `${plainText(one)} and ${plainText(other)}`,
              number(own),
              `${formatCount(agreed)} of ${formatCount(shared)}`,
            ]),
          ),
        ]),
    ...(judges.length === 0
      ? []
      : [
          "",
          renderTable(
            ["judge against most votes", "pairs", "same outcome", "kappa"],
            ["left", "right", "right", "right"],
            judges.flatMap(({ judge, all, sets, categories }) => [
              [plainText(judge), formatCount(all.pairs), share(all.share), number(all.kappa)],
              ...[...(sets.length > 1 ? sets : []), ...categories].map((one) => [
                `  ${plainText(one.with)}`,
                formatCount(one.pairs),
                share(one.share),
                number(one.kappa),
              ]),
            ]),
          ),
        ]),
    `\n  labels  ${annotators.map(({ path }) => plainText(path)).join(", ")}`,
  ];
  return `${parts.join("\n")}\n`;
}

function share({ value, low, high }: Estimate): string {
  return value === null
    ? "-"
    : `${formatShare(value)} [${low === null ? "-" : formatShare(low)}, ${high === null ? "-" : formatShare(high)}]`;
}

function number({ value, low, high }: Estimate): string {
  return value === null ? "-" : `${value.toFixed(2)} [${low?.toFixed(2) ?? "-"}, ${high?.toFixed(2) ?? "-"}]`;
}
