import {
  describeTrust,
  tellExperiment,
  weighComparison,
  weighExperiment,
  weighRating,
  type Trust,
  type TrustReport,
} from "../health/trust.ts";
import { formatCount, formatNumbered, formatScore } from "../format.ts";
import { isRated, type Manifest } from "../run/manifest.ts";
import type { ComparisonReport, Head, ScoreReport } from "./contract.ts";
import { agreementsOf, type LabelsSummary } from "./people-labels.ts";

/** What the run is, what was found, and whether to trust it: of an experiment, else of its comparisons, else of its scores. */
export function describeHead(
  manifest: Manifest | undefined,
  scores: ScoreReport | undefined,
  comparisons: readonly ComparisonReport[],
  people: readonly LabelsSummary[],
): Head {
  const { dataset, rate, arms = {}, experiment } = manifest ?? {};
  if (experiment) {
    const weighed = [experiment, rate, agreementsOf(people)] as const;
    return {
      what: `An experiment: does choosing rows${dataset ? ` of ${dataset.source}` : ""} give a better model than taking them at random, or all of them?`,
      found: tellExperiment(...weighed),
      trust: tellTrust(weighExperiment(...weighed)),
    };
  }
  const [first] = comparisons;
  if (first)
    return {
      what: `Two models answer the same prompts, and ${first.judge} says which answer is better${comparisons.length > 1 ? `; ${formatNumbered(comparisons.length, "comparison", "comparisons")}, of which this is the first` : ""}.`,
      found: first.sentence,
      trust: tellTrust(weighComparison(first)),
    };
  if (!scores || !isRated(manifest)) return { what: "A run of alpagasus in progress: nothing is finished yet." };
  const chosen = Object.values(arms).map(({ arm, rows }) => `${arm} keeps ${formatNumbered(rows, "row", "rows")}`);
  const counted = `${formatCount(scores.states.scored ?? 0)} of ${formatNumbered(scores.rows, "row", "rows")} have a score`;
  const mean = scores.mean === null ? "" : `, ${formatScore(Number(scores.mean.toFixed(2)))} on average`;
  return {
    what: `Each row of an instruction dataset is rated by ${scores.judge}, so that the best rows can be chosen to train on.`,
    found: `${[`${counted}${mean}`, ...chosen].join("; ")}.`,
    ...(!scores.isPartial && { trust: tellTrust(weighRating(manifest.rate)) }),
  };
}

/** Adds the sentence. */
export function tellTrust(trust: Trust): TrustReport {
  return { ...trust, sentence: describeTrust(trust) };
}
