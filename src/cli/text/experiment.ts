import { styleText } from "node:util";
import { describeP } from "../../comparison/conclude.ts";
import type { ExperimentRecipe } from "../../experiment/recipe.ts";
import { describeLoss, type TaskResult } from "../../experiment/schedule.ts";
import { formatCount, formatDuration, formatNumbered, formatUsd } from "../../format.ts";
import type { ExperimentArm, ExperimentResult, MatchResult } from "../../run/records/experiment.ts";
import type { ExperimentPlan } from "../../stages/experiment/run.ts";
import { renderFindings } from "./benchmarks.ts";
import { renderLossTables } from "./losses.ts";
import { plainText } from "./plain-text.ts";
import { renderTrust } from "./trust.ts";
import { tellExperiment, weighExperiment } from "../../health/trust.ts";
import type { OutcomeAgreement } from "../../run/records/comparison.ts";
import type { RateSummary } from "../../run/records/rating.ts";
import { renderTable } from "./table.ts";

/** What `run --dry-run` prints. */
export function renderExperimentPlan(recipe: ExperimentRecipe, plan: ExperimentPlan): string {
  const { tasks, expectedUsd, highestUsd, budgetUsd, paidUsd, run } = plan;
  const usd = (value: number | null | undefined) =>
    value === undefined ? "" : value === null ? "unknown" : formatUsd(value);
  const lines = [
    `\n${styleText("bold", `The experiment ${plainText(recipe.name)}`)} in ${plainText(run)}${recipe.description === undefined ? "" : `: ${plainText(recipe.description)}`}`,
    recipe.recorded
      ? "  its figures are recorded; only the result has to be computed"
      : renderTable(
          ["task", "", "what", "time", "expected", "at most", "why"],
          ["left", "left", "right", "right", "right", "right", "left"],
          tasks.map(({ task, state, what, minutes, expectedUsd: expected, highestUsd: highest }) => [
            plainText(task),
            state.state === "done"
              ? state.isLeftOut
                ? "left out"
                : "done"
              : state.state === "waits"
                ? "maybe"
                : "due",
            what ?? "",
            minutes === undefined ? "" : formatDuration(60_000 * minutes),
            usd(expected),
            usd(highest),
            state.state === "done" ? "" : plainText(state.why),
          ]),
        ),
    `\n  ${describeDue(tasks)} Money: ${formatUsd(expectedUsd)} expected as far as known, ${highestUsd === null ? "no upper bound is known" : `${formatUsd(highestUsd)} at most`}${paidUsd > 0 ? `; ${formatUsd(paidUsd)} were paid before, or perhaps` : ""}${budgetUsd === null ? "" : `; the budget is ${formatUsd(budgetUsd)}`}.`,
    ...(expectedUsd > 0 ? [`  Expected by ${plan.basis}.`] : []),
    ...(highestUsd === null
      ? [
          "  It says unknown where nothing bounds the cost: trainings by the hour, models without a price, and verdicts on answers that are not there yet.",
        ]
      : []),
    ...plan.notes.map((note) => `  note: ${plainText(note)}`),
    "  No model was called and nothing was written.",
  ];
  return `${lines.join("\n")}\n`;
}

function describeDue(tasks: ExperimentPlan["tasks"]): string {
  const due = tasks.filter(({ state }) => state.state === "due").length;
  const maybe = tasks.filter(({ state }) => state.state === "waits").length;
  if (due + maybe === 0) return "Nothing is due.";
  const after = maybe === 0 ? "" : `, and ${formatCount(maybe)} may be after them`;
  return `${formatCount(due)} of ${formatNumbered(tasks.length, "task", "tasks")} ${due === 1 ? "is" : "are"} due${after}.`;
}

/** A line for a task that has ended. */
export function renderTaskEnd(task: string, result: TaskResult): string {
  if (result.state === "done") return `${task}: done in ${formatDuration(result.wallMs)}`;
  if (result.state === "kept") return `${task}: done before`;
  return `${task}: ${result.state}: ${describeLoss(result) ?? ""}`;
}

/** What `run` prints at its end. @param paidUsd what the run has paid in all, with checks of judges and what was replaced since @param people how far its judges agree with people's labels */
export function renderExperimentResult(
  result: ExperimentResult,
  run: string,
  rate: RateSummary | undefined,
  paidUsd: number,
  people: readonly OutcomeAgreement[],
): string {
  const { name, caveat, arms, matches, savings, money } = result;
  const isSelected =
    matches.length === 0 && !result.benchmarks?.length && arms.every(({ trainings }) => trainings.length === 0); // and no more
  const lines = [
    `\n${styleText("bold", plainText(name))}: ${plainText(tellExperiment(result, rate, people))}`,
    ...(caveat === undefined ? [] : [`  ${plainText(caveat)}`]),
    ...(isSelected
      ? arms.flatMap(({ arm, alarms = [] }) =>
          alarms.map((alarm) => styleText("yellow", `  ALARM: ${plainText(arm)}: ${plainText(alarm)}`)),
        )
      : [renderTrust(weighExperiment(result, rate, people))]),
    "",
    ...(matches.length > 0 ? [renderMatches(matches), ""] : []),
    ...matches.flatMap(({ a, b, judge, missing }) =>
      missing === undefined
        ? []
        : [
            styleText(
              "yellow",
              `  ${plainText(`${a} against ${b} by ${judge}: nothing can be concluded: ${missing}`)}`,
            ),
          ],
    ),
    ...renderSeeds(matches),
    ...(result.losses ? [...renderLossTables(result.losses), ""] : []),
    ...(result.benchmarks?.length ? [...renderFindings(result.benchmarks), ""] : []),
    isSelected ? renderSelected(arms, run) : renderArms(arms),
    "",
    ...savings.map(renderSaving),
    `  money   ${renderMoney(money, paidUsd)}`,
    `\n  report  ${plainText(run)}/report.html, and report.json with the same figures`,
  ];
  return `${lines.join("\n")}\n`;
}

function renderMatches(matches: readonly MatchResult[]): string {
  const judges = new Set(matches.map(({ judge }) => judge));
  const rows = matches.flatMap((match) =>
    [...(match.sets.length > 1 ? match.sets : []), match.pooled].map((group, i) => [
      i === 0 ? plainText(`${match.a} against ${match.b}${judges.size > 1 ? ` by ${match.judge}` : ""}`) : "",
      plainText(group.group === "pooled" ? "all prompts" : group.group),
      ...[group.counts.win, group.counts.tie, group.counts.lose].map(formatCount),
      group.winningScore.value === null ? "-" : group.winningScore.value.toFixed(3),
      group.winningScore.low === null
        ? ""
        : `[${group.winningScore.low.toFixed(3)}, ${group.winningScore.high!.toFixed(3)}]`,
      describeP(group).replace(/corrected for \d+ comparisons/, "corrected"),
    ]),
  );
  return renderTable(
    ["", "test set", "win", "tie", "lose", "winning score", "95 % interval", "test"],
    ["left", "left", "right", "right", "right", "right", "left", "left"],
    rows,
  );
}

/** How far results vary between training seeds, since a single training run proves little. */
function renderSeeds(matches: readonly MatchResult[]): string[] {
  const several = matches.filter(({ seeds }) => seeds.length > 1);
  if (several.length === 0) return [];
  return [
    ...several.map(({ a, b, judge, seeds }) => {
      const scores = seeds.flatMap(({ winningScore }) => winningScore ?? []);
      if (scores.length === 0)
        return `  seeds   ${plainText(a)} against ${plainText(b)} by ${plainText(judge)}: none has a decided pair`;
      return `  seeds   ${plainText(a)} against ${plainText(b)} by ${plainText(judge)}: ${scores.map((score) => score.toFixed(3)).join(", ")} (from ${Math.min(...scores).toFixed(3)} to ${Math.max(...scores).toFixed(3)})`;
    }),
    "",
  ];
}

/** Arms of an experiment that trains none. */
function renderSelected(arms: readonly ExperimentArm[], run: string): string {
  const table = renderTable(
    ["arm", "rows"],
    ["left", "right"],
    arms.map(({ arm, rows }) => [plainText(arm), rows === null ? "-" : formatCount(rows)]),
  );
  return `${table}\n\n  arms    ${plainText(run)}/arms`;
}

function renderArms(arms: readonly ExperimentArm[]): string {
  return renderTable(
    ["arm", "rows", "trainings", "time per training", "cost per training", "final loss"],
    ["left", "right", "right", "right", "right", "right"],
    arms.map(({ arm, rows, trainings, minutes, usd }) => [
      plainText(arm),
      rows === null ? "-" : formatCount(rows),
      trainings.length === 0 ? "-" : formatCount(trainings.length),
      minutes === null ? "-" : formatDuration(60_000 * minutes),
      usd === null ? "-" : formatUsd(usd),
      trainings.map(({ finalLoss }) => finalLoss?.toFixed(3) ?? "-").join(", ") || "-",
    ]),
  );
}

function renderSaving({
  arm,
  full,
  timesFaster,
  minutes,
  usd,
  paysBackAfter,
}: ExperimentResult["savings"][number]): string {
  const paid =
    paysBackAfter === null
      ? ""
      : paysBackAfter === 0
        ? "; rating cost nothing"
        : `; that pays for the rating after ${formatCount(paysBackAfter)} ${paysBackAfter === 1 ? "training" : "trainings"}`;
  if (timesFaster >= 0.95 && timesFaster < 1.05)
    return `  saved   no time: training on ${plainText(arm)} takes as long as on ${plainText(full)}`;
  if (timesFaster < 1)
    return `  saved   nothing: training on ${plainText(arm)} takes longer than on ${plainText(full)}`;
  return `  saved   training on ${plainText(arm)} is ${timesFaster.toFixed(1)} times faster than on ${plainText(full)} (${formatDuration(60_000 * minutes)} less)${usd === null || usd <= 0 ? "" : `, and ${formatUsd(usd)} cheaper`}${paid}`;
}

function renderMoney({ rating, training, generating, comparing }: ExperimentResult["money"], paidUsd: number): string {
  const tell = (what: string, usd: number | null) => `${what} ${usd === null ? "not known" : formatUsd(usd)}`;
  const behind = (rating ?? 0) + (training ?? 0) + (generating ?? 0) + (comparing ?? 0);
  const parts = [
    tell("rating", rating),
    tell("training", training),
    tell("answers", generating),
    tell("judging", comparing),
  ].join(", ");
  const more =
    formatUsd(paidUsd) === formatUsd(behind) || paidUsd < behind
      ? ""
      : `; this run has paid ${formatUsd(paidUsd)} in all, with checks of judges and what was replaced since`;
  return `${parts}${more}`;
}
