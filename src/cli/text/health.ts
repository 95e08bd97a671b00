import { styleText } from "node:util";
import { anchorKinds } from "../../health/anchors.ts";
import type { JudgeHealth } from "../../stages/check-judge.ts";
import { formatCount, formatScore, formatUsd } from "../../format.ts";
import { plainText } from "./plain-text.ts";
import { renderTable } from "./table.ts";

/** What `check-judge` prints. */
export function renderHealth({
  judge,
  rubric,
  checks,
  anchors,
  calls,
  paidUsd,
  isHealthy,
  isUnknown,
  stopped,
}: JudgeHealth): string {
  const topics = [...new Set(anchors.map(({ topic }) => topic))];
  const shown = ({ state, score }: JudgeHealth["anchors"][number]["ratings"][number]) =>
    score === undefined ? state : formatScore(score);
  const cell = (topic: string, kind: (typeof anchorKinds)[number]) => {
    const anchor = anchors.find((one) => one.topic === topic && one.kind === kind);
    if (!anchor) return "";
    const said = anchor.ratings.map(shown);
    return said.every((one) => one === said[0]) ? said[0]! : said.join(", ");
  };
  const money =
    calls === 0
      ? ""
      : `\n  ${formatCount(calls)} calls${paidUsd === null ? ", of unknown price" : `, ${formatUsd(paidUsd)}`}; their replies are kept`;
  const verdict = isHealthy
    ? styleText("green", "  This judge can be used.")
    : isUnknown
      ? styleText(
          "yellow",
          stopped === "budget"
            ? "  The check did not finish, since its budget is spent. Run it again with a larger --budget."
            : "  This judge could not be checked: too few replies arrived. Run the check again.",
        )
      : styleText(
          "red",
          calls === 0
            ? "  This judge cannot tell right from wrong here: use it for a first look at a dataset, not for conclusions."
            : "  Do not pay this judge for a whole dataset until this is fixed: try another model or another --rubric.",
        );
  const lines = checks.map(
    ({ name, held, isUnknown: isOpen, message }) =>
      `  ${held ? styleText("green", "holds ") : isOpen ? styleText("yellow", "?     ") : styleText("red", "FAILS ")} ${name.padEnd(18)} ${plainText(message)}`,
  );
  return `
${styleText("bold", `Twenty anchor rows rated by ${plainText(judge)}`)}${rubric === undefined ? "" : ` with the rubric ${plainText(rubric)}`}, ${anchors[0]?.ratings.length === 2 ? "twice" : "three times"}

${renderTable(
  ["", ...anchorKinds],
  ["left", ...anchorKinds.map(() => "right" as const)],
  topics.map((topic) => [topic, ...anchorKinds.map((kind) => cell(topic, kind))]),
)}

${lines.join("\n")}
${money}
${verdict}
`;
}
