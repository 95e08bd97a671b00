import { styleText } from "node:util";
import { dirname } from "node:path";
import { formatCount, formatDuration } from "../../format.ts";
import type { AnswersSummary } from "../../run/records/answers.ts";
import { runFlag } from "../../run/run-folder.ts";
import { plainText } from "./plain-text.ts";
import { renderCalls, renderWarnings } from "./rating.ts";
import { renderTable } from "./table.ts";

/** What `generate` prints. */
export function renderAnswers(summary: AnswersSummary): string {
  const { arm, model, sets, calls, server, wallMs, question, notes, gates } = summary;
  const prompts = sets.reduce((sum, set) => sum + set.prompts, 0);
  const there = sets.reduce((sum, { answered, cut }) => sum + answered + cut, 0);
  const pending = sets.reduce((sum, set) => sum + set.pending, 0);
  const lines = [
    `\n${styleText("bold", `${plainText(model)}: ${formatCount(there)} of ${formatCount(prompts)} prompts have an answer`)} (at most ${formatCount(question.maxOutputTokens)} tokens an answer, ${describeDrawing(summary)}) in ${formatDuration(wallMs)}`,
    renderTable(
      ["test set", "prompts", "answered", "cut", "refused", "failed", "pending", "mean length"],
      ["left", "right", "right", "right", "right", "right", "right", "right"],
      sets.map((set) => [
        plainText(set.set),
        ...[set.prompts, set.answered + set.cut, set.cut, set.refused, set.failed, set.pending].map(formatCount),
        set.meanLength === null ? "-" : formatCount(set.meanLength),
      ]),
    ),
    ...(server
      ? [
          `  server  ${server.description}, ready after ${formatDuration(server.startMs)}`,
          `  prompts ${plainText(server.parity)}`,
        ]
      : []),
    ...(calls ? renderCalls(calls, { pending }, "prompts") : []),
    ...notes.map((note) => `  note: ${plainText(note)}`),
    ...renderWarnings([], gates),
    `\n  answers ${plainText(summary.answersPath)}${there > 0 ? `; compare them: alpagasus compare ${arm} OTHER${runFlag(dirname(dirname(summary.answersPath)))}` : ""}`,
  ];
  return `${lines.join("\n")}\n`;
}

/** How answers are sampled. A note that mentions the temperature means that the client left it out. */
function describeDrawing({ question: { temperature }, notes }: AnswersSummary): string {
  if (notes.some((note) => /temperature/i.test(note))) return "sampled with the model's own settings";
  return temperature ? `temperature ${temperature}` : "greedy";
}
