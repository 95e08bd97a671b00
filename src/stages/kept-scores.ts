import { existsSync } from "node:fs";
import { type Example, hashExample } from "../dataset/example.ts";
import { RunError } from "../errors.ts";
import type { Judge } from "../judge/judge.ts";
import { rateSome } from "../judge/rate-some.ts";
import { readRatings, type RatingLine } from "../run/ratings-file.ts";
import type { RateSummary } from "../run/records/rating.ts";

/** A judge that does not ask again for the scores that a run has, and how many these are. */
export interface KeepingJudge {
  readonly judge: Judge;
  readonly count: number;
}

/**
 * Keeps the scores of an earlier rating, where the store with their replies is gone: they were paid. Only those to the same question, of
 * rows that are as they were. Undefined where there are none.
 */
export async function keepScores(
  judge: Judge,
  rated: RateSummary | undefined,
  ratingsPath: string,
): Promise<KeepingJudge | undefined> {
  const isSame = judge.question !== undefined && judge.question.hash === rated?.question?.hash;
  if (!rated || !isSame || judge.panel || judge.escalating || !existsSync(ratingsPath)) return undefined;
  const scored = new Map<number, RatingLine>();
  try {
    for await (const lines of readRatings(ratingsPath, rated.ratingsHash))
      for (const line of lines) if (line.state === "scored") scored.set(line.index, line);
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    return undefined; // they were changed, so that none can be relied on
  }
  if (scored.size === 0) return undefined;
  const known = (example: Example) => {
    const line = scored.get(example.index);
    if (line?.hash !== hashExample(example)) return undefined;
    const { index: _, id: __, hash: ___, ...rating } = line;
    return rating;
  };
  return { judge: rateSome(judge, known), count: scored.size };
}
