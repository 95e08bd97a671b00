import { estimateRater, posterior, type RaterModel, type Triple } from "./transition.ts";

/** A rater's scores, corrected for its estimated errors. */
export interface CuratedScores {
  /** The distinct scores that it gives, ascending; the model refers to them by index. */
  readonly levels: readonly number[];
  readonly model: RaterModel;
  /** The corrected score of each row. */
  readonly scores: Float64Array;
}

const mostLevels = 11; // 0 to 5 in halves; with more, each triple has too few rows
export const leastRows = 1000; // fewer give too few triples to estimate from

/** Why a rater's scores cannot be corrected, in a few words; undefined when they can. */
export function whyNotCurated(scores: Float64Array): string | undefined {
  const levels = new Set(scores).size;
  if (scores.length < leastRows) return `at least ${leastRows} rows with a score are needed`;
  if (levels > mostLevels) return `its scores have more than ${mostLevels} different values`;
  if (levels < 2) return "its scores are all the same";
  return undefined;
}

/**
 * Corrects a rater's scores without any labels. Its errors are estimated from how often similar rows get different scores
 * (see `estimateRater`). Each row then gets the posterior mean of its true score, given its own score and those of its two
 * nearest neighbours.
 *
 * @param scores one per row
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
  const known = new Map<string, number>(); // cache: there are few distinct triples
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
