import { styleText } from "node:util";
import { formatCount, formatDuration } from "../../format.ts";
import type { EmbeddingSummary } from "../../run/records/embedding.ts";
import { runFlag } from "../../run/run-folder.ts";
import { shellWord } from "../../shell-word.ts";
import { plainText } from "./plain-text.ts";
import { renderCalls, renderWarnings } from "./rating.ts";

const textNames: Record<EmbeddingSummary["text"], string> = {
  row: "prompt and answer",
  prompt: "the prompt",
  answer: "the answer",
};

/** What `embed` prints. */
export function renderEmbedding(
  summary: EmbeddingSummary,
  { run, hasOthers }: { readonly run: string; readonly hasOthers: boolean },
): string {
  const { name, model, text, dimensions, vectors, targets, notes, calls, gates, wallMs } = summary;
  const files = Object.values(targets);
  const all = [vectors, ...files];
  const pending = all.reduce((sum, { rows, embedded }) => sum + rows - embedded, 0);
  const lines = [
    `\n${styleText("bold", `${plainText(name)}: ${formatCount(vectors.embedded)} of ${formatCount(vectors.rows)} rows have a vector`)} (${formatCount(dimensions)} values, of ${textNames[text]}, by ${plainText(model)}) in ${formatDuration(wallMs)}`,
    ...files.map(
      ({ source, rows, embedded }) =>
        `  target  ${plainText(source)}: ${formatCount(embedded)} of ${formatCount(rows)} rows have a vector`,
    ),
    ...(calls ? renderCalls(calls, { pending }, "rows") : []),
    ...notes.map((note) => `  note: ${plainText(note)}`),
    ...renderWarnings([], gates),
    `\n  vectors ${plainText(vectors.path)}`,
    ...(vectors.embedded > 0 && calls?.stopped === undefined
      ? [
          `  next    alpagasus select${runFlag(run)} ${files.length > 0 ? `--toward ${shellWord(files.at(-1)!.source)} --top 10% --arm toward` : "--top 10% --dedup semantic"}${hasOthers ? ` --vectors ${name}` : ""}`,
        ]
      : []),
  ];
  return `${lines.join("\n")}\n`;
}
