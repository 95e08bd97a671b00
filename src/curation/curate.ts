import { estimateRater, posterior, type RaterModel, type Triple } from "./transition.ts";

/** A rater's scores, corrected by what is known of its errors. */
export interface CuratedScores {
  /** The scores that it gives, ascending: what the model's places stand for. */
  readonly levels: readonly number[];
  readonly model: RaterModel;
  /** Of each row. */
  readonly scores: Float64Array;
}

const mostLevels = 11; // 0 to 5 in halves; beyond that there are too few rows of each triple
export const leastRows = 1000; // fewer say too little about triples

/** Why a rater's scores cannot be corrected, in a few words; undefined when they can. */
export function whyNotCurated(scores: Float64Array): string | undefined {
  const levels = new Set(scores).size;
  if (scores.length < leastRows) return `it takes at least ${leastRows} rows with a score`;
  if (levels > mostLevels) return `its scores are of more than ${mostLevels} different values`;
  if (levels < 2) return "its scores are all the same";
  return undefined;
}

/**
 * Corrects a rater's scores without any labels: its errors are estimated from how often rows that are nearly alike get
 * different scores (see `estimateRater`), and each row gets the mean of the true scores that it may have, given its own
 * score and those of its two nearest neighbours.
 *
 * @param scores one a row
 * @param nearest the two nearest other rows of each row: [row, 0 or 1]
 */
export function curateScores(scores: Float64Array, nearest: Uint32Array): CuratedScores {
  const levels = [...new Set(scores)].sort((a, b) => a - b);
  const places = new Map(levels.map((level, place) => [level, place]));
  const placeOf = (row: number) => places.get(scores[row]!)!;
  const triples = Array.from(scores.keys(), (row): Triple => [
    placeOf(row),
    placeOf(nearest[row * 2]!),
    placeOf(nearest[row * 2 + 1]!),
  ]);
  const model = estimateRater(triples, levels.length);
  const known = new Map<string, number>(); // there are few different triples
  const curated = triples.map((triple) => {
    const key = triple.join(" ");
    let score = known.get(key);
    if (score === undefined) {
      score = posterior(model, triple).reduce((sum, probability, place) => sum + probability * levels[place]!, 0);
      known.set(key, score);
    }
    return score;
  });
  return { levels, model, scores: Float64Array.from(curated) };
}
