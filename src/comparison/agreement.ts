import { toEstimateRecord } from "../run/estimate-record.ts";
import { pearson } from "../stats/agreement.ts";
import { crossedMean } from "../stats/crossed-mean.ts";
import { cohensKappa, tableKappa } from "../stats/kappa.ts";
import type { Outcome } from "../stats/outcomes.ts";
import { tableCorrelation, tableIntervals } from "../stats/table-bootstrap.ts";
import type { OutcomeAgreement } from "../run/records/comparison.ts";
import { numberPrompts } from "./prompt-numbers.ts";
import type { PairVerdict } from "./verdict.ts";

const outcomeValue: Readonly<Record<Exclude<Outcome, "undecided">, number>> = { win: 1, tie: 0, lose: -1 };
const levels = [-1, 0, 1];

/** How far a judge's outcomes agree with another judge's, or with people's, on the pairs that both have decided. */
export function measureOutcomeAgreement(
  name: string,
  verdicts: readonly PairVerdict[],
  others: ReadonlyMap<string, Outcome>,
  seed: number,
): OutcomeAgreement {
  const both = verdicts.flatMap((verdict) => {
    const other = others.get(pairKey(verdict));
    return verdict.outcome === "undecided" || other === undefined || other === "undecided"
      ? []
      : [{ verdict, own: verdict.outcome, other }];
  });
  const own = both.map((pair) => outcomeValue[pair.own]);
  const theirs = both.map((pair) => outcomeValue[pair.other]);
  const prompts = numberPrompts(both.map(({ verdict }) => verdict));
  const share = crossedMean(
    own.map((value, i) => (value === theirs[i] ? 1 : 0)),
    { prompts },
    { range: [0, 1] },
  );
  const values = [cohensKappa(own.map(String), theirs.map(String)), pearson(own, theirs)];
  // every category has a row and a column in the table, even if it never occurs
  const [kappa, correlation] = tableIntervals(
    own,
    theirs,
    (table) => [tableKappa(table), tableCorrelation(table, levels, levels)],
    {
      values,
      levels: [levels, levels],
      independent: new Set(prompts).size,
      seed,
    },
  );
  return {
    with: name,
    pairs: both.length,
    share: toEstimateRecord(share),
    kappa: toEstimateRecord(kappa!),
    correlation: toEstimateRecord(correlation!),
  };
}

/** The key of a pair: its test set and its id. */
export function pairKey({ set, id }: Pick<PairVerdict, "set" | "id">): string {
  return `${set}\0${id}`;
}
