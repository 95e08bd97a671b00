import { styleText } from "node:util";
import type { Gate } from "../../run/records/common.ts";
import type { RunStatus } from "../../stages/status.ts";
import {
  formatCount,
  formatMetric,
  formatNumbered,
  formatShare,
  formatShareDown,
  formatThreshold,
  formatUsd,
} from "../../format.ts";
import { ratingStates } from "../../run/rating.ts";
import { plainText } from "./plain-text.ts";
import { renderTable } from "./table.ts";

/** What `status` prints. */
export function renderStatus({
  run,
  dataset,
  rate,
  begun,
  spent,
  scores,
  embeddings,
  losses,
  benchmarks,
  arms,
  models,
  answers,
  comparisons,
  experiment,
  checked,
  next,
}: RunStatus): string {
  if (!dataset || !rate) {
    const paid =
      begun && (begun.paidUsd ?? 0) + begun.perhapsPaidUsd > 0
        ? ` (${formatUsd(begun.paidUsd ?? 0)} paid${begun.perhapsPaidUsd > 0 ? `, and up to ${formatUsd(begun.perhapsPaidUsd)} for attempts whose reply was lost or is still pending` : ""})`
        : "";
    const what = begun
      ? `started${begun.calls || paid === "" ? `: ${formatCount(begun.calls ?? 0)} replies are stored` : ""}${paid}`
      : experiment
        ? `the experiment ${plainText(experiment.name)}`
        : "nothing rated yet";
    const checks = (checked ?? []).map((one) => `; ${describeCheck(one)}`).join("");
    const answered = answers.length > 0 ? `${renderOwnAnswers(answers)}\n\n` : "";
    const compared =
      comparisons.length > 0 ? `${[renderComparisons(comparisons), ...failedLines(comparisons)].join("\n")}\n\n` : "";
    const measured = [...renderLosses(losses), ...renderBenchmarks(benchmarks)];
    const came = experiment ? `  ${plainText(experiment.sentence)}\n\n` : "";
    return `\n${plainText(run)}: ${what}${checks}\n\n${came}${measured.length > 0 ? `${measured.join("\n")}\n\n` : ""}${answered}${compared}  next  ${plainText(next)}\n`;
  }
  const lines = [
    `\n${styleText("bold", plainText(run))}`,
    `  data     ${plainText(dataset.source)}: ${formatCount(dataset.rows)} rows, ${dataset.format}, ${dataset.shape} shape${attention(dataset.state)}`,
    `  ratings  by ${plainText(rate.judge)}: ${formatShareDown(rate.coverage)} scored${rate.mean === null ? "" : `, mean ${rate.mean.toFixed(2)}`}${attention(rate.state)}`,
    ...(scores ?? []).map(
      ({ name, judge, coverage, mean, state }) =>
        `  ${name}  by ${plainText(judge)}: ${formatShareDown(coverage)} scored${mean === null ? "" : `, mean ${mean.toFixed(2)}`}${attention(state)}`,
    ),
    ...(embeddings ?? []).map(
      ({ name, model, text, vectors, isStale }) =>
        `  vectors  ${name}: of the ${text}, by ${plainText(model)}: ${formatCount(vectors.embedded)} rows${isStale ? styleText("yellow", " (of other rows: embed again)") : ""}`,
    ),
    ...describeRest(rate, spent),
    ...renderFailed("", rate.gates),
    ...(scores ?? []).flatMap(({ name, gates }) => renderFailed(`${name}: `, gates)),
    ...rate.alarms.map((alarm) => styleText("yellow", `  ALARM: ${plainText(alarm)}`)),
  ];
  if (arms.length > 0) {
    const rows = arms.map((arm) => [
      arm.arm,
      formatCount(arm.rows),
      formatShare(arm.share),
      arm.cut === null ? "-" : formatThreshold(Number(arm.cut.toPrecision(6))), // to look at, not to type
      plainText(arm.choice),
      arm.isStale ? "stale: what it was chosen by has changed" : arm.state,
    ]);
    lines.push(
      "",
      renderTable(
        ["arm", "rows", "share", "cut", "choice", "state"],
        ["left", "right", "right", "right", "left", "left"],
        rows,
      ),
      ...arms.flatMap(({ arm, gates, alarms }) => [
        ...renderFailed(`${arm}: `, gates),
        ...alarms
          .filter((alarm) => !rate.alarms.includes(alarm))
          .map((alarm) => styleText("yellow", `  ALARM: ${plainText(arm)}: ${plainText(alarm)}`)),
      ]),
    );
  }
  if (losses && losses.length > 0) lines.push("", ...renderLosses(losses));
  if (benchmarks && benchmarks.length > 0) lines.push("", ...renderBenchmarks(benchmarks));
  if (models.length > 0)
    lines.push(
      "",
      renderTable(
        ["model", "arm", "recipe", "base", "steps", "loss", ""],
        ["left", "left", "left", "left", "right", "right", "left"],
        models.map(({ model, arm, recipe, base, steps, finalLoss, gates }) => [
          model,
          arm,
          recipe,
          plainText(base),
          formatCount(steps),
          finalLoss === null ? "-" : finalLoss.toFixed(3),
          gates.every(({ held }) => held) ? "checked" : "its checks failed",
        ]),
      ),
    );
  if (answers.length > 0) lines.push("", renderOwnAnswers(answers));
  if (comparisons.length > 0) lines.push("", renderComparisons(comparisons), ...failedLines(comparisons));
  if (experiment) lines.push("", `  ${plainText(experiment.name)}: ${plainText(experiment.sentence)}`);
  return `${lines.join("\n")}\n\n  next  ${plainText(next)}\n`;
}

function describeCheck({ judge, at, checks }: NonNullable<RunStatus["checked"]>[number]): string {
  const failed = checks.filter(({ held, isUnknown }) => !held && !isUnknown).map(({ name }) => name);
  const found =
    failed.length > 0
      ? `failed (${failed.join(", ")})`
      : checks.some(({ isUnknown }) => isUnknown)
        ? "is not complete"
        : "was passed";
  return plainText(`the check of ${judge} ${found} on ${at.slice(0, 10)}`);
}

/** @param whose before the gate's name: an arm's or a score's */
function renderFailed(whose: string, gates: readonly Gate[]): string[] {
  return gates
    .filter(({ held }) => !held)
    .map(({ name, message }) => styleText("red", `  FAILED ${plainText(whose)}${name}: ${plainText(message)}`));
}

function renderOwnAnswers(answers: RunStatus["answers"]): string {
  return renderTable(
    ["answers", "model", "test sets", ""],
    ["left", "left", "left", "left"],
    answers.map(({ arm, model, sets }) => {
      const missing = sets.reduce((sum, { refused, failed, pending }) => sum + refused + failed + pending, 0);
      return [
        arm,
        plainText(model),
        plainText(sets.map(({ set, prompts }) => `${set} ${formatCount(prompts)}`).join(", ")),
        missing > 0 ? `${formatCount(missing)} without an answer` : "",
      ];
    }),
  );
}

function failedLines(comparisons: RunStatus["comparisons"]): string[] {
  return comparisons.flatMap(({ a, b, failed }) => renderFailed(`${a} against ${b}: `, failed));
}

function renderComparisons(comparisons: RunStatus["comparisons"]): string {
  return renderTable(
    ["compared", "judge", "win", "tie", "lose", "undecided", "winning score", ""],
    ["left", "left", "right", "right", "right", "right", "right", "left"],
    comparisons.map(({ a, b, judge, counts, winningScore, conclusion, isFinished, trust }) => [
      plainText(`${a} against ${b}`),
      plainText(judge),
      formatCount(counts.win),
      formatCount(counts.tie),
      formatCount(counts.lose),
      formatCount(counts.undecided),
      winningScore.value === null ? "-" : winningScore.value.toFixed(3),
      isFinished
        ? `${conclusion}${/^(better|worse)$/.test(conclusion) && trust === "no" ? ", not to be trusted" : ""}`
        : "not finished: run the same command to continue",
    ]),
  );
}

/** States other than scored, and the money. */
function describeRest({ states, calls }: NonNullable<RunStatus["rate"]>, spent: RunStatus["spent"]): string[] {
  const others = ratingStates.flatMap((state) =>
    state === "scored" || states[state] === undefined ? [] : [`${formatCount(states[state])} ${state}`],
  );
  const lines = others.length > 0 ? [`           ${others.join(", ")}`] : [];
  if (spent && spent.paidUsd !== null)
    lines.push(
      `  money    ${formatUsd(spent.paidUsd)}${calls?.budgetUsd === undefined ? "" : ` of ${formatUsd(calls.budgetUsd)}`} paid for this run's calls${spent.perhapsPaidUsd > 0 ? `, and up to ${formatUsd(spent.perhapsPaidUsd)} for attempts whose reply was lost or is still pending` : ""}${spent.unpricedCalls ? `; ${formatNumbered(spent.unpricedCalls, "reply", "replies")} of unknown price are not in it` : ""}`,
    );
  return lines;
}

function attention(state: string): string {
  return state === "present" ? "" : styleText("yellow", ` (${state} since)`);
}

function renderBenchmarks(benchmarks: RunStatus["benchmarks"] = []): string[] {
  return benchmarks.flatMap(({ task, models, sentences }) => [
    `  benchmark ${plainText(task)}: ${models.map(({ model, value }) => `${plainText(model)} ${value === null ? "-" : formatMetric(value)}`).join(", ")}`,
    ...sentences.map((sentence) => `    ${plainText(sentence)}`),
  ]);
}

function renderLosses(losses: RunStatus["losses"] = []): string[] {
  return losses.flatMap(({ name, models, sentences }) => [
    `  losses on ${plainText(name)}: ${models.map(({ model, loss }) => `${plainText(model)} ${loss === null ? "-" : loss.toFixed(4)}`).join(", ")}`,
    ...sentences.map((sentence) => `    ${plainText(sentence)}`),
  ]);
}
