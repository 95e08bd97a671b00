import { createRandom, shuffledIndices } from "../stats/random.ts";

/** Points in a low-dimensional space, row by row. */
export interface Points {
  readonly count: number;
  readonly dimensions: number;
  /** [row, dimension] */
  readonly values: Float32Array;
}

const mostCandidates = 4000; // candidates taken from one cell, as many equal rows share a cell
const searchedCells = 4; // nearest cells that are searched: enough to find nearly all true neighbours

/**
 * Finds the two nearest other points of each point, by Euclidean distance: [row, 0 or 1]. The search is approximate: each
 * point belongs to the cell of its nearest pivot, and only the nearest cells are searched, so a neighbour is sometimes missed.
 */
export function twoNearest(points: Points, seed = 42): Uint32Array {
  const { count, dimensions, values } = points;
  const pivotCount = Math.max(1, Math.round(Math.sqrt(count)));
  const pivots = shuffledIndices(count, createRandom(seed)).slice(0, pivotCount);
  const distance = (a: number, b: number, most: number): number => {
    let sum = 0;
    for (let d = 0, i = a * dimensions, j = b * dimensions; d < dimensions && sum < most; d++, i++, j++) {
      const difference = values[i]! - values[j]!;
      sum += difference * difference;
    }
    return sum;
  };
  const cells: number[][] = Array.from(pivots, () => []);
  const nearestCells = new Uint32Array(count * searchedCells);
  for (let row = 0; row < count; row++) {
    const best = nearestOf(searchedCells, pivotCount, (pivot, most) => distance(row, pivots[pivot]!, most));
    nearestCells.set(best, row * searchedCells);
    cells[best[0]!]!.push(row);
  }
  const found = new Uint32Array(count * 2);
  for (let row = 0; row < count; row++) {
    const candidatesNearby = [
      ...new Set(nearestCells.subarray(row * searchedCells, (row + 1) * searchedCells)),
    ].flatMap((cell) => cells[cell]!.slice(0, mostCandidates));
    const candidates =
      candidatesNearby.length > 2 ? candidatesNearby : Array.from({ length: count }, (_, other) => other);
    const best = nearestOf(2, candidates.length, (i, most) =>
      candidates[i] === row ? Infinity : distance(row, candidates[i]!, most),
    );
    found[row * 2] = candidates[best[0]!]!;
    found[row * 2 + 1] = candidates[best[1]!]!;
  }
  return found;
}

/** The indices, of `among` many, that are nearest, nearest first; `distanceOf` may stop adding up at `most`. */
function nearestOf(count: number, among: number, distanceOf: (i: number, most: number) => number): Uint32Array {
  const best = new Uint32Array(count);
  const distances = new Float64Array(count).fill(Infinity);
  for (let i = 0; i < among; i++) {
    const distance = distanceOf(i, distances[count - 1]!);
    if (distance >= distances[count - 1]!) continue;
    let at = count - 1;
    for (; at > 0 && distances[at - 1]! > distance; at--) {
      distances[at] = distances[at - 1]!;
      best[at] = best[at - 1]!;
    }
    distances[at] = distance;
    best[at] = i;
  }
  return best;
}
