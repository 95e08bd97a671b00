import { styleText } from "node:util";
import type { CallPlan } from "../../stages/plan-calls.ts";
import { formatCount, formatUsd } from "../../format.ts";
import { plainLines, plainText } from "./plain-text.ts";

/** What `--dry-run` prints for commands that would call a model. */
export function renderPlan(plan: CallPlan): string {
  const { calls, tokens, question, expectedUsd, highestUsd } = plan;
  const settings = [
    ...(question.rubric === undefined ? [] : [`rubric ${question.rubric} ${question.rubricVersion}`]),
    `at most ${formatCount(question.maxOutputTokens)} tokens a reply`,
    ...(question.temperature === undefined ? [] : [`temperature ${question.temperature}`]),
    ...(question.reasoning === undefined ? [] : [`reasoning ${question.reasoning}`]),
  ];
  const lines = [
    `\n${styleText("bold", "The first prompt")}`,
    ...plan.firstPrompt.map(({ role, text }) => `${styleText("dim", `[${role}]`)}\n${plainLines(text)}`),
    `\n${styleText("bold", `Calls to ${plainText(plan.judge)}`)} (${settings.join(", ")})`,
    `  ${plan.unit.padEnd(6)}  ${formatCount(plan.items)}`,
    `  calls   ${formatCount(calls.left)} to make${calls.shared > 0 ? `, ${formatCount(calls.shared)} identical to another` : ""}, ${formatCount(calls.stored)} in the store${calls.failed > 0 ? ` (${formatCount(calls.failed)} failed: --retry-failed repeats them)` : ""}`,
    `  tokens  ${formatCount(tokens.input)} in, about ${formatCount(tokens.output)} out, at most ${formatCount(tokens.highestOutput)} (by ${tokens.basis})`,
    ...(plan.server === undefined ? [] : [`  server  ${plan.server}, to be started on this machine`]),
    highestUsd === null
      ? "  money   unknown: no price is known for a model of this name; if the name is right, give one with --price INPUT/OUTPUT"
      : `  money   ${expectedUsd === null ? "" : `${formatUsd(expectedUsd)} expected, `}${formatUsd(highestUsd)} at most (${plainText(plan.priceBasis ?? "")})`,
    ...plan.notes.map((note) => `  note: ${plainText(note)}`),
    "\n  No model was called and nothing was written.",
  ];
  return `${lines.join("\n")}\n`;
}
