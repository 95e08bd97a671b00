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

/**
 * Pools one judge's matches of the same arms, one for each training seed, into one over prompts and trainings. Where verdicts are missing
 * (`missing` says which), nothing is concluded: what is missing may not be like the rest.
 */
export function poolMatches(
  { a, b, judge, missing }: Pick<MatchResult, "a" | "b" | "judge" | "missing">,
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
  const toRecord = (found: typeof pooled) => ({
    ...toComparisonRecord(found),
    ...(missing !== undefined && { conclusion: "nothing can be concluded" as const }),
  });
  return {
    a,
    b,
    judge,
    ...(missing !== undefined && { missing }),
    pooled: toRecord(pooled),
    sets: sets.map(toRecord),
    seeds:
      matches.length > 1
        ? matches.map(({ verdicts, ...names }) => ({
            ...names,
            winningScore: toComparisonRecord(analyse(verdicts).pooled).winningScore.value,
          }))
        : [],
  };
}
