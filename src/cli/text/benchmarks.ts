import { styleText } from "node:util";
import { formatCount, formatDuration, formatMetric, formatNumbered, formatP } from "../../format.ts";
import type { BenchmarkSummary } from "../../run/records/benchmarks.ts";
import type { ExperimentResult } from "../../run/records/experiment.ts";
import { plainText } from "./plain-text.ts";
import { renderTable } from "./table.ts";

/** What `benchmark` prints when it is done. */
export function renderBenchmarks(summaries: readonly BenchmarkSummary[]): string {
  const [{ models, harness, wallMs }] = summaries as [BenchmarkSummary];
  const notes = [...new Set(summaries.flatMap((summary) => summary.notes))];
  const differences = summaries.flatMap((summary) => summary.differences);
  const parts = [
    `\n${styleText("bold", `${formatNumbered(summaries.length, "benchmark", "benchmarks")} of ${formatNumbered(models.length, "model", "models")}`)} by lm-evaluation-harness ${harness} in ${formatDuration(wallMs)}`,
    ...notes.map((note) => `  note: ${plainText(note)}`),
    "",
    ...renderTables(summaries),
    ...(differences.length > 1 ? ["  p is corrected for the number of comparisons (Holm)"] : []),
    "",
    ...differences.map(({ sentence }) => `  ${plainText(sentence)}`),
    `\n  items   ${summaries.flatMap((summary) => summary.models.map(({ path }) => plainText(path))).join(", ")}`,
  ];
  return `${parts.join("\n")}\n`;
}

/** The tables of an experiment's benchmarks, what is to be known of them, and what they say. */
export function renderFindings(benchmarks: NonNullable<ExperimentResult["benchmarks"]>): string[] {
  const differences = benchmarks.flatMap((benchmark) => benchmark.differences);
  return [
    ...renderTables(benchmarks),
    ...(differences.length > 1 ? ["  p is corrected for the number of comparisons (Holm)"] : []),
    ...[...new Set(benchmarks.flatMap(({ notes }) => notes))].map((note) => `  note: ${plainText(note)}`),
    "",
    ...differences.map(({ sentence }) => `  ${plainText(sentence)}`),
  ];
}

/** Each model's figures, and the differences of arms on the same items. */
function renderTables(
  summaries: readonly Pick<BenchmarkSummary, "task" | "metric" | "models" | "differences">[],
): string[] {
  const differences = summaries.flatMap(({ task, differences: of }) => of.map((one) => ({ task, ...one })));
  return [
    renderTable(
      ["benchmark", "model", "metric", "value", "95 % interval", "items"],
      ["left", "left", "left", "right", "right", "right"],
      summaries.flatMap(({ task, metric, models }) =>
        models.map(({ model, value, items }) => [
          plainText(task),
          plainText(model),
          plainText(metric),
          number(value.value),
          `${number(value.low)} to ${number(value.high)}`,
          formatCount(items),
        ]),
      ),
    ),
    ...(differences.length === 0
      ? []
      : [
          "",
          renderTable(
            ["compared", "difference", "95 % interval", "p", "p unpaired", "trainings"],
            ["left", "right", "right", "right", "right", "right"],
            differences.map(({ task, a, b, difference, adjustedPValue, unpairedPValue, trainings }) => [
              `${plainText(task)}: ${plainText(a)} minus ${plainText(b)}`,
              number(difference.value),
              `${number(difference.low)} to ${number(difference.high)}`,
              p(adjustedPValue),
              p(unpairedPValue),
              trainings === null ? "-" : formatCount(trainings),
            ]),
          ),
        ]),
  ];
}

function p(value: number): string {
  return formatP(value).replace("= ", "");
}

function number(value: number | null): string {
  return value === null ? "-" : formatMetric(value);
}
