import { analyse } from "../comparison/analyse.ts";
import { toComparisonRecord } from "../comparison/comparison-record.ts";
import type { PairVerdict } from "../comparison/verdict.ts";
import type { ExperimentArm, MatchResult } from "../run/records/experiment.ts";
import type { Outcome } from "../stats/outcomes.ts";
import type { ExperimentFacts } from "./facts.ts";
import type { ExperimentRecipe } from "./recipe.ts";

/** Mean time and cost of a training over the seeds; null when one of them is unknown. */
export function meanTraining(trainings: ExperimentArm["trainings"]): Pick<ExperimentArm, "minutes" | "usd"> {
  const mean = (values: readonly (number | null)[]) =>
    values.length > 0 && values.every((value) => value !== null)
      ? values.reduce((sum, value) => sum + value, 0) / values.length
      : null;
  return { minutes: mean(trainings.map(({ minutes }) => minutes)), usd: mean(trainings.map(({ usd }) => usd)) };
}

/** Pools one judge's matches of the same arms, one for each training seed, into one over prompts and trainings. */
export function poolMatches(
  { a, b, judge }: Pick<MatchResult, "a" | "b" | "judge">,
  matches: readonly { readonly a: string; readonly b: string; readonly verdicts: readonly PairVerdict[] }[],
): MatchResult {
  const all = matches.flatMap(({ verdicts, ...names }, i) =>
    verdicts.map((verdict) => ({
      ...verdict,
      ...(matches.length > 1 && {
        id: `${verdict.id} ${names.a} ${names.b} ${i}`,
        prompt: verdict.prompt ?? verdict.id,
        training: i,
      }),
    })),
  );
  const { pooled, sets } = analyse(all);
  return {
    a,
    b,
    judge,
    pooled: toComparisonRecord(pooled),
    sets: sets.map(toComparisonRecord),
    seeds:
      matches.length > 1
        ? matches.map(({ verdicts, ...names }) => ({
            ...names,
            winningScore: toComparisonRecord(analyse(verdicts).pooled).winningScore.value,
          }))
        : [],
  };
}

/** The facts of an experiment that was run elsewhere, from its recorded counts. */
export function recordedFacts({
  name,
  caveat,
  source,
  recorded,
}: Pick<ExperimentRecipe, "name" | "caveat" | "source" | "recorded">): ExperimentFacts {
  const { judge, rating_usd: rating = null, arms, comparisons } = recorded!;
  const total = (values: readonly (number | undefined)[]) =>
    values.some((value) => value === undefined) ? null : values.reduce<number>((sum, value) => sum + value!, 0);
  const most = Math.max(...Object.values(arms).map(({ rows }) => rows));
  return {
    name,
    caveat,
    source,
    arms: Object.entries(arms).map(([arm, { rows, minutes, usd }]) => {
      const trainings = minutes === undefined ? [] : [{ minutes, usd: usd ?? null, finalLoss: null, lossCurve: [] }];
      return { arm, rows, trainings, ...meanTraining(trainings) };
    }),
    matches: comparisons.map(({ a, b, sets }) =>
      poolMatches({ a, b, judge }, [{ a, b, verdicts: sets.flatMap(toVerdicts) }]),
    ),
    trainings: recorded!.trainings,
    money: { rating, training: total(Object.values(arms).map(({ usd }) => usd)), generating: null, comparing: null },
    methods: Object.fromEntries(
      Object.entries(arms).map(([arm, { rows }]) => [arm, rows === most ? "full" : arm === "random" ? arm : "score"]),
    ),
  };
}

/** Makes pairs that give the published counts. */
function toVerdicts({ set, win, tie, lose }: { set: string; win: number; tie: number; lose: number }): PairVerdict[] {
  const outcomes: Outcome[] = [
    ...Array<Outcome>(win).fill("win"),
    ...Array<Outcome>(tie).fill("tie"),
    ...Array<Outcome>(lose).fill("lose"),
  ];
  return outcomes.map((outcome, i) => ({ id: String(i), set, outcome, orders: [] }));
}
