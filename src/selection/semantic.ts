import type { VectorsReader } from "../run/vectors-file.ts";
import type { Reason } from "./decision.ts";
import type { LearningCheck } from "./duplicates.ts";
import { openNeighbours } from "./neighbours.ts";

const rounding = 1e-6; // of the cosine of two 32-bit vectors of length 1

/**
 * Rejects rows whose vector is at least so near to a kept row's: of rows that say the same, the best is kept (SemDeDup, arXiv 2303.09540,
 * within the order of the selection in place of clusters), and rows that are kept lie apart (DEITA, arXiv 2312.15685). A row without a vector is near to
 * none.
 *
 * @param similarity the least cosine that counts as near
 * @param option who asks, for the message where usearch is not installed
 */
export function semanticCheck(
  vectors: VectorsReader,
  similarity: number,
  reason: Extract<Reason, "semantic duplicate" | "too close">,
  option: string,
): LearningCheck {
  const kept = openNeighbours(vectors.dimensions, (row) => vectors.at(row)!, option);
  return {
    learn: () => {},
    reject(row) {
      const vector = vectors.at(row);
      const nearest = vector && kept.nearest(vector);
      if (!nearest || nearest.similarity < similarity - rounding) return undefined;
      return { reason, detail: { of: nearest.row, similarity: Math.round(nearest.similarity * 1000) / 1000 } };
    },
    keep(row) {
      const vector = vectors.at(row);
      if (vector) kept.add(row, vector);
    },
  };
}

/** Rejects rows whose vector is nearer than a cosine distance to a kept row's. */
export function distanceCheck(vectors: VectorsReader, distance: number): LearningCheck {
  return semanticCheck(vectors, 1 - distance + 2 * rounding, "too close", "--diverse"); // exactly so far apart is not nearer
}
