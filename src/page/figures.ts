import { seesOrder } from "../run/judge-kind.ts";
import { UsageError } from "../errors.ts";
import type { ComparisonRecord } from "../run/records/comparison.ts";
import type { RunReport } from "./contract.ts";

/** One figure of a run, with its interval and p-value where it has them. */
export interface Figure {
  /** What it is a figure of: `experiment`, `rating`, `arm`, `training`, `comparison`, `people`, `loss`, `benchmark`, `money`. */
  readonly part: string;
  /** Whose: an arm, a model, `selected against random by JUDGE (all)`. */
  readonly of: string;
  /** Its name, the same for all figures of a kind: `winning_score`. */
  readonly figure: string;
  readonly value: number | null;
  readonly low?: number | null | undefined;
  readonly high?: number | null | undefined;
  /** Corrected for the comparisons beside it, where there are any. */
  readonly p?: number | undefined;
  /** Rows, pairs, answers or items behind it. */
  readonly n?: number | undefined;
}

type Estimate = ComparisonRecord["winningScore"];
type ComparisonPart = ComparisonRecord & { readonly set: string };

/** All figures of a run, as a table: what `report --format csv` writes and `--fail-on` reads. */
export function listFigures({
  scores,
  arms,
  experiment,
  comparisons,
  rankings,
  people,
  losses,
  benchmarks,
  money,
}: RunReport): Figure[] {
  const figures: Figure[] = [];
  const add = (
    part: string,
    of: string,
    figure: string,
    value: number | null | undefined,
    more: Partial<Figure> = {},
  ) => {
    if (value !== undefined) figures.push({ part, of, figure, value, ...more });
  };
  const estimate = (
    part: string,
    of: string,
    figure: string,
    found: Estimate | undefined,
    more: Partial<Figure> = {},
  ) => add(part, of, figure, found?.value, { low: found?.low, high: found?.high, ...more });
  if (scores) {
    const n = scores.rows;
    add("rating", scores.judge, "coverage", scores.coverage, { n });
    add("rating", scores.judge, "mean_score", scores.mean, { n });
    for (const { name, agreement } of scores.references)
      estimate("rating", `${scores.judge} and ${name}`, "spearman", agreement.spearman, { n: agreement.rows });
  }
  for (const { arm, rows, share } of arms) {
    add("arm", arm, "rows", rows);
    add("arm", arm, "share", share);
  }
  for (const { arm, trainings } of experiment?.arms ?? [])
    for (const { seed, finalLoss } of trainings)
      if (finalLoss !== null)
        add("training", seed === undefined ? arm : `${arm}, seed ${seed}`, "final_loss", finalLoss);
  const result = (part: string, judge: string, pair: string, found: ComparisonRecord) => {
    const { group, winningScore, winRate, gradedWinRate, pValue, adjusted, counts, orders, length } = found;
    const of = `${pair} (${group})`;
    const n = counts.win + counts.tie + counts.lose;
    estimate(part, of, "winning_score", winningScore, { p: adjusted?.pValue ?? pValue, n });
    estimate(part, of, "win_rate", winRate, { n });
    estimate(part, of, "graded_win_rate", gradedWinRate, { n });
    estimate(part, of, "win_rate_at_equal_length", length?.controlledWinRate, { n });
    if (seesOrder(judge) && orders.pairs > 0) estimate(part, of, "flip_rate", orders.flipRate, { n: orders.pairs });
  };
  for (const { a, b, judge, pooled, sets } of experiment?.matches ?? [])
    for (const found of [pooled, ...(sets.length > 1 ? sets : [])])
      result("experiment", judge, `${a} against ${b} by ${judge}`, found);
  for (const { a, b, judge, pooled, sets, categories, difficulties = [] } of comparisons) {
    const pair = `${a} against ${b} by ${judge}`;
    for (const found of [pooled, ...(sets.length > 1 ? sets : [])]) result("comparison", judge, pair, found); // one set is all pairs
    const part = (figure: string, { set, group, winningScore, pValue, adjusted, counts }: ComparisonPart) =>
      estimate("comparison", `${pair} (${set}, ${group})`, figure, winningScore, {
        p: adjusted?.pValue ?? pValue,
        n: counts.win + counts.tie + counts.lose,
      });
    for (const found of categories) part("category_winning_score", found);
    for (const found of difficulties) part("difficulty_winning_score", found);
  }
  for (const { judge, arms: ranked } of rankings)
    for (const { arm, winRate, decided } of ranked)
      estimate("ranking", `${arm} by ${judge}`, "win_rate_against_average", winRate, { n: decided });
  for (const { a, b, winRate, kappa, pairs, judges } of people) {
    const of = `${a} against ${b} by people`;
    estimate("people", of, "win_rate", winRate, { n: pairs });
    estimate("people", of, "kappa", kappa, { n: kappa.pairs });
    for (const { judge, all } of judges)
      estimate("people", `${of} and ${judge}`, "judge_kappa", all.kappa, { n: all.pairs });
  }
  for (const { name, models, differences } of losses) {
    for (const { model, loss, items } of models) estimate("loss", `${model} on ${name}`, "loss", loss, { n: items });
    for (const { a, b, difference, adjustedPValue, items } of differences)
      estimate("loss", `${b} minus ${a} on ${name}`, "loss_difference", difference, { p: adjustedPValue, n: items });
  }
  const published = experiment?.benchmarks?.filter(({ harness }) => harness === null) ?? [];
  for (const { task, models, differences } of [...benchmarks, ...published]) {
    for (const { model, value, items } of models)
      estimate("benchmark", `${model} in ${task}`, "benchmark", value, { n: items });
    for (const { a, b, difference, adjustedPValue, items } of differences)
      estimate("benchmark", `${a} minus ${b} in ${task}`, "benchmark_difference", difference, {
        p: adjustedPValue,
        n: items,
      });
  }
  if (money) add("money", "calls", "paid_usd", money.paidUsd);
  if (money?.unpricedCalls) add("money", "calls", "unpriced_calls", money.unpricedCalls);
  return figures;
}

/** A condition on figures: `winning_score < 1`, `benchmark.low < 0.4`, `selected in mmlu: benchmark < 0.4`. */
export interface FigureCondition {
  readonly text: string;
  /** Only figures of what contains this. */
  readonly of: string | undefined;
  readonly figure: string;
  readonly side: "value" | "low" | "high" | "p" | "n";
  readonly operator: "<" | "<=" | ">" | ">=";
  readonly than: number;
}

/** @throws UsageError when a condition has another form */
export function readCondition(text: string): FigureCondition {
  const found = /^\s*(?:(.+):\s+)?(\w+)(?:\.(low|high|p|n))?\s*(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)\s*$/.exec(text);
  if (!found)
    throw new UsageError(
      `--fail-on: expected a figure, < or >, and a number, as in "winning_score < 1" or "selected in mmlu: benchmark.low < 0.4", got ${JSON.stringify(text)}`,
    );
  const [, of, figure, side = "value", operator, than] = found;
  return {
    text: text.trim(),
    of,
    figure: figure!,
    side: side as FigureCondition["side"], // as the pattern has them
    operator: operator as FigureCondition["operator"],
    than: Number(than),
  };
}

/** A condition and the figures that meet it. A figure that has no value meets every condition: it shows nothing. */
export interface ConditionResult {
  readonly condition: FigureCondition;
  readonly met: readonly Figure[];
}

/** @throws UsageError when a condition is about a figure that the run does not have */
export function checkCondition(condition: FigureCondition, figures: readonly Figure[]): ConditionResult {
  const { of, figure: name, side, operator, than } = condition;
  const named = figures.filter(({ figure }) => figure === name);
  const meant = named.filter((figure) => of === undefined || figure.of.includes(of));
  if (meant.length === 0)
    throw new UsageError(
      named.length === 0
        ? `--fail-on: expected one of the run's figures (${[...new Set(figures.map(({ figure }) => figure))].join(", ") || "it has none"}), got ${name}`
        : `--fail-on: expected a ${name} of ${JSON.stringify(of)}, the run has it of ${named.map((figure) => figure.of).join("; ")}`,
    );
  const isMet = (value: number | null | undefined) =>
    value === null ||
    value === undefined ||
    (operator === "<"
      ? value < than
      : operator === "<="
        ? value <= than
        : operator === ">"
          ? value > than
          : value >= than);
  return { condition, met: meant.filter((figure) => isMet(figure[side])) };
}
