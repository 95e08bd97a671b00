import { analyse } from "../comparison/analyse.ts";
import { toComparisonRecord } from "../comparison/comparison-record.ts";
import type { PairVerdict } from "../comparison/verdict.ts";
import type { ExperimentArm, MatchResult } from "../run/records/experiment.ts";

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
