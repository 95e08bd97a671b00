import { toEstimateRecord } from "../run/estimate-record.ts";
import { pearson, type Estimate } from "../stats/agreement.ts";
import { bootstrap } from "../stats/bootstrap.ts";
import { cohensKappa } from "../stats/kappa.ts";
import type { Outcome } from "../stats/outcomes.ts";
import type { OutcomeAgreement } from "../run/manifest.ts";
import type { PairVerdict } from "./verdict.ts";

const draws = 2_000;
const worth: Readonly<Record<Exclude<Outcome, "undecided">, number>> = { win: 1, tie: 0, lose: -1 };

/** How far a judge's outcomes agree with another judge's, or with people's, on the pairs that both have decided. */
export function measureOutcomeAgreement(
  name: string,
  verdicts: readonly PairVerdict[],
  others: ReadonlyMap<string, Outcome>,
  seed: number,
): OutcomeAgreement {
  const own: Exclude<Outcome, "undecided">[] = [];
  const theirs: Exclude<Outcome, "undecided">[] = [];
  for (const verdict of verdicts) {
    const other = others.get(pairKey(verdict));
    if (verdict.outcome === "undecided" || other === undefined || other === "undecided") continue;
    own.push(verdict.outcome);
    theirs.push(other);
  }
  const [share, kappa, correlation] = bootstrap(
    own.length,
    (weights) => {
      const drawn = Array.from(weights).flatMap((weight, i) => Array.from({ length: weight }, () => i));
      return [
        drawn.filter((i) => own[i] === theirs[i]).length / drawn.length,
        cohensKappa(own, theirs, weights),
        pearson(
          drawn.map((i) => worth[own[i]!]),
          drawn.map((i) => worth[theirs[i]!]),
        ),
      ];
    },
    { seed, draws },
  ) as [Estimate, Estimate, Estimate]; // three figures
  return {
    with: name,
    pairs: own.length,
    share: toEstimateRecord(share),
    kappa: toEstimateRecord(kappa),
    correlation: toEstimateRecord(correlation),
  };
}

/** What a pair is known by. */
export function pairKey({ set, id }: Pick<PairVerdict, "set" | "id">): string {
  return `${set}\0${id}`;
}
