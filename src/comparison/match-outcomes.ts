import { DataError } from "../errors.ts";
import { formatCount } from "../format.ts";
import type { Outcome } from "../stats/outcomes.ts";
import { pairKey } from "./agreement.ts";
import type { PairVerdict } from "./verdict.ts";

/** Outcomes by another judge or by people, from A's side. */
export interface OtherOutcomes {
  readonly name: string;
  /** By set and id; a set of `""` is of the one set that has the id. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

/** Such outcomes, by the pairs that they belong to. */
export interface MatchedOutcomes extends OtherOutcomes {
  readonly given: number;
  /** Ids of those that belong to no pair. */
  readonly unused: readonly string[];
}

/** Matches outcomes to pairs. @throws DataError when none belongs to a pair, or one without a set may belong to several */
export function matchOutcomes(
  { name, outcomes }: OtherOutcomes,
  pairs: readonly Pick<PairVerdict, "set" | "id">[],
): MatchedOutcomes {
  const known = new Map<string, Outcome>();
  const used = new Map<string, string>(); // the set of the pair that it belongs to
  for (const pair of pairs) {
    const key = [pairKey(pair), pairKey({ set: "", id: pair.id })].find((one) => outcomes.has(one));
    if (key === undefined) continue;
    const other = used.get(key);
    if (other !== undefined && other !== pair.set)
      throw new DataError(
        `${name}: expected "set" in labels whose id several sets have, got id ${pair.id} without one, which ${other} and ${pair.set} have; add "set" to each label`,
      );
    known.set(pairKey(pair), outcomes.get(key)!);
    used.set(key, pair.set);
  }
  const unused = [...outcomes.keys()].filter((key) => !used.has(key)).map((key) => key.split("\0").at(-1)!);
  if (outcomes.size > 0 && known.size === 0)
    throw new DataError(
      `${name}: expected labels of these pairs, got ids that no pair has: ${unused.slice(0, 3).join(", ")}${unused.length > 3 ? ", …" : ""} (a pair has, for one, ${pairs[0]?.id ?? "none"}); name the labels of these prompts`,
    );
  return { name, outcomes: known, given: outcomes.size, unused };
}

/** Says which outcomes do not count in an agreement: those of no pair, and those of pairs that the judge did not decide. */
export function describeUnused(
  { name, outcomes, given, unused }: MatchedOutcomes,
  verdicts: readonly Pick<PairVerdict, "set" | "id" | "outcome">[],
): string[] {
  const undecided = verdicts.filter((verdict) => verdict.outcome === "undecided" && outcomes.has(pairKey(verdict)));
  const shown = unused.slice(0, 3).join(", ");
  return [
    ...(unused.length > 0
      ? [
          `${name}: ${formatCount(unused.length)} of ${formatCount(given)} belong to no pair here, by set and id, and do not count (${shown}${unused.length > 3 ? ", …" : ""})`,
        ]
      : []),
    ...(undecided.length > 0
      ? [
          `${name}: ${formatCount(undecided.length)} of ${formatCount(given)} are of pairs without an outcome, and do not count`,
        ]
      : []),
  ];
}
