import { existsSync } from "node:fs";
import { type Example, hashExample } from "../dataset/example.ts";
import { RunError } from "../errors.ts";
import type { Judge } from "../judge/judge.ts";
import { rateSome } from "../judge/rate-some.ts";
import type { Rating } from "../run/rating.ts";
import { readRatings, type RatingLine } from "../run/ratings-file.ts";
import type { RateSummary } from "../run/records/rating.ts";

/** A judge that does not ask again for scores whose replies are gone from the store. */
export interface KeepingJudge {
  readonly judge: Judge;
  /** How many it kept so far. */
  count(): number;
}

/**
 * Keeps the scores of an earlier rating whose replies are in the store no more: they were paid. Only those to the same question, of rows
 * that are as they were. Undefined where there are none, and for judges that combine others.
 */
export async function keepScores(
  judge: Judge,
  rated: RateSummary | undefined,
  ratingsPath: string,
): Promise<KeepingJudge | undefined> {
  const { hasCall, question } = judge;
  const isSame = question !== undefined && question.hash === rated?.question?.hash;
  if (!rated || !isSame || !hasCall || judge.panel || judge.escalating || !existsSync(ratingsPath)) return undefined;
  const lost = new Map<number, RatingLine>();
  try {
    for await (const lines of readRatings(ratingsPath, rated.ratingsHash))
      for (const line of lines) if (isLost(line, hasCall)) lost.set(line.index, line);
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    return undefined; // they were changed, so that none can be relied on
  }
  if (lost.size === 0) return undefined;
  const kept = new Set<number>();
  const known = (example: Example): Rating | undefined => {
    const line = lost.get(example.index);
    if (line?.hash !== hashExample(example)) return undefined;
    kept.add(example.index);
    const { index: _, id: __, hash: ___, ...rating } = line;
    return rating;
  };
  return { judge: rateSome(judge, known), count: () => kept.size };
}

/** Whether a line has a score, and some of the replies behind it are gone. */
function isLost(line: RatingLine, hasCall: (key: string) => boolean): boolean {
  if (line.state !== "scored") return false;
  const calls = line.calls ?? (line.call === undefined ? [] : [line.call]);
  return calls.some((key) => !hasCall(key));
}
