import { styleText } from "node:util";
import { formatCount, formatDuration, formatNumbered, formatP } from "../../format.ts";
import type { LossSummary } from "../../run/records/losses.ts";
import { plainText } from "./plain-text.ts";
import { renderTable } from "./table.ts";

/** What `evaluate --loss` prints when it is done. */
export function renderLosses(summary: LossSummary): string {
  const { data, rows, trainedOn, models, notes, wallMs } = summary;
  const parts = [
    `\n${styleText("bold", `Loss of ${formatNumbered(models.length, "model", "models")} on ${formatCount(rows - trainedOn)} answers of ${plainText(data)}`)} in ${formatDuration(wallMs)}`,
    ...notes.map((note) => `  note: ${plainText(note)}`),
    "",
    ...renderLossTables(summary),
    `\n  losses  ${models.map(({ path }) => plainText(path)).join(", ")}`,
  ];
  return `${parts.join("\n")}\n`;
}

/** Each model's loss, the differences of arms, and what they say. */
export function renderLossTables({ models, differences }: Pick<LossSummary, "models" | "differences">): string[] {
  return [
    renderTable(
      ["model", "prompts", "loss", "95 % interval", "answers", "tokens"],
      ["left", "left", "right", "right", "right", "right"],
      models.map(({ model, template, loss, items, tokens }) => [
        plainText(model),
        template,
        number(loss.value),
        `${number(loss.low)} to ${number(loss.high)}`,
        formatCount(items),
        formatCount(tokens),
      ]),
    ),
    ...(differences.length === 0
      ? []
      : [
          "",
          renderTable(
            ["compared", "difference", "95 % interval", "p", "trainings"],
            ["left", "right", "right", "right", "right"],
            differences.map(({ a, b, difference, adjustedPValue, trainings }) => [
              `${plainText(b)} minus ${plainText(a)}`,
              number(difference.value),
              `${number(difference.low)} to ${number(difference.high)}`,
              formatP(adjustedPValue).replace("= ", ""),
              formatCount(trainings),
            ]),
          ),
          ...(differences.length > 1 ? ["  p is corrected for the number of comparisons (Holm)"] : []),
          "",
          ...differences.map(({ sentence }) => `  ${plainText(sentence)}`),
        ]),
  ];
}

function number(value: number | null): string {
  return value === null ? "-" : value.toFixed(4);
}
