import { resolve } from "node:path";
import type { Dataset } from "../dataset/dataset.ts";
import { RunError, UsageError } from "../errors.ts";
import { formatCount } from "../format.ts";
import type { Judge } from "../judge/judge.ts";
import { describeQuestion } from "../run/describe-question.ts";
import type { RatedManifest } from "../run/manifest.ts";
import type { DatasetRecord } from "../run/records/dataset.ts";
import type { RateSummary } from "../run/records/rating.ts";
import { factNames } from "../selection/rows-table.ts";

/** @throws UsageError when SQL could not use it as a name, or it means something else there */
export function expectScoreName(name: string): void {
  const taken = [...factNames, "source", "rows", "facts", "zscore", "percentile", "rank"];
  if (!/^[a-z_]\w{0,63}$/i.test(name))
    throw new UsageError(
      `--as: expected a name of letters, digits and "_" for --by and --where, got ${JSON.stringify(name)}`,
    );
  if (taken.includes(name.toLowerCase()))
    throw new UsageError(`--as: expected a name that --by and --where do not have, got ${JSON.stringify(name)}`);
}

/** @throws RunError when the run's rows have no ratings of its own yet, UsageError when several judges rate */
export function expectRated(
  previous: RatedManifest | undefined,
  name: string,
  { run, judge }: { readonly run: string; readonly judge: Judge },
): void {
  if (judge.panel || judge.escalating)
    throw new UsageError(`--as ${name}: expected one judge, got ${judge.name}; give each its own name`);
  if (!previous)
    throw new RunError(
      `${run}: expected rows that are rated, found none; rate them first without --as: that is the run's own score, "score" in --by`,
    );
}

/** @throws RunError when the run's ratings are of other data, by another judge, or to another question */
export function expectSameQuestion(
  dataset: DatasetRecord,
  rated: RateSummary | undefined,
  asked: Dataset,
  { run, judge }: { readonly run: string; readonly judge: Judge },
): void {
  const advice = "use another run with --run DIR, or replace it with --overwrite";
  if (!isSameSource(dataset.source, asked.source)) {
    throw new RunError(
      `${run}: holds ratings of ${dataset.source} (${formatCount(dataset.rows)} rows), not of ${asked.source}; ${advice}`,
    );
  }
  if (!rated) return;
  if (rated.judge !== judge.name)
    throw new RunError(`${run}: holds ratings by ${rated.judge}, not by ${judge.name}; ${advice}`);
  if (judge.question && rated.question?.hash !== judge.question.hash)
    throw new RunError(
      `${run}: holds ratings to another question (${describeQuestion(rated.question)}, not ${describeQuestion(judge.question)}); ${advice}`,
    );
}

function isSameSource(a: string, b: string): boolean {
  return a === b || resolve(a) === resolve(b);
}
