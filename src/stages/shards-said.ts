import type { RateSummary } from "../run/records/rating.ts";

/*
 * What was said of the judge of shards, for the run that they become.
 */

/** An alarm about the scores, which the merged rating makes anew. */
const ofScores = /^[<>]?[\d.]+ % of the scores are /;

/** What was said of the judge; alarms about the rows of one shard name it. */
export function sharedAlarms(summaries: readonly RateSummary[]): string[] {
  const all = new Set(summaries.flatMap(({ alarms }) => alarms));
  return [...all].flatMap((alarm) => {
    if (ofScores.test(alarm)) return [];
    const from = summaries.flatMap(({ alarms }, i) => (alarms.includes(alarm) ? [i + 1] : []));
    return from.length === summaries.length ? alarm : `shard ${from.join(", ")} of ${summaries.length}: ${alarm}`;
  });
}

/** The checks of the shard whose judge failed most of them: each machine checks its own. */
export function worstChecks(summaries: readonly RateSummary[]): RateSummary["checks"] {
  const failed = (checks: NonNullable<RateSummary["checks"]>) => checks.filter(({ held }) => !held).length;
  return summaries.flatMap(({ checks }) => (checks ? [checks] : [])).toSorted((a, b) => failed(b) - failed(a))[0];
}
