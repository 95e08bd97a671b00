import { UsageError } from "../errors.ts";
import { formatCount, formatShareDown } from "../format.ts";
import type { Gate } from "../run/records/common.ts";

/*
 * The gate on how much of its work a stage did: rows with a score, prompts with an answer, prompts that are decided.
 */

/** The least share, unless the user says otherwise. */
const defaultMinCoverage = 0.95;

/** @throws UsageError unless the share is absent or from 0 to 1 */
export function checkShare(name: string, share: number | undefined): void {
  if (share !== undefined && !(share >= 0 && share <= 1))
    throw new UsageError(`${name}: expected a share from 0 to 1, got ${share}`);
}

/** @param share of the rows that have a score @param of which rows, in words */
export function rowCoverageGate(share: number, least = defaultMinCoverage, of = "the rows"): Gate {
  return {
    name: "coverage",
    held: share >= least,
    message: `${formatShareDown(share)} of ${of} have a score; at least ${formatShareDown(least)} are wanted`,
  };
}

/** The largest share of unreadable rows, unless the user says otherwise: more is rather a wrong layout than some bad rows. */
const defaultMaxUnreadable = 0.01;

export function readableGate(count: number, rows: number, most = defaultMaxUnreadable): Gate {
  const share = count / rows;
  return {
    name: "readable",
    held: share <= most,
    message: `${formatCount(count)} of ${formatCount(rows)} rows cannot be read (${(Math.ceil(share * 10_000) / 100).toFixed(2)} %); at most ${(100 * most).toFixed(2)} % are allowed (--max-unreadable)`,
  };
}

/** @param done in a word: `answered`, `decided` */
export function promptCoverageGate(done: string, count: number, prompts: number, least = defaultMinCoverage): Gate {
  const share = prompts > 0 ? count / prompts : 0;
  return {
    name: "coverage",
    held: share >= least,
    message: `${formatCount(count)} of ${formatCount(prompts)} prompts are ${done} (${formatShareDown(share)}); at least ${(100 * least).toFixed(1)} % are wanted`,
  };
}

/** @param source the file of examples; undefined for the run's own rows */
export function vectorCoverageGate(
  source: string | undefined,
  count: number,
  texts: number,
  least = defaultMinCoverage,
): Gate {
  const share = texts > 0 ? count / texts : 0;
  return {
    name: source === undefined ? "coverage" : `coverage of ${source}`,
    held: share >= least,
    message: `${formatCount(count)} of ${formatCount(texts)} ${source === undefined ? "rows" : `examples in ${source}`} have a vector (${formatShareDown(share)}); at least ${(100 * least).toFixed(1)} % are wanted`,
  };
}
