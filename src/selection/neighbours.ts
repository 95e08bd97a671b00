import { createRequire } from "node:module";
import { UsageError } from "../errors.ts";
import { cosine } from "../stats/cosine.ts";

/** Rows' vectors, of length 1, among which the nearest to another is found. */
export interface Neighbours {
  add(row: number, vector: Float32Array): void;
  /** The row whose vector is nearest, and the cosine of both; undefined while there is none. */
  nearest(vector: Float32Array): Near | undefined;
  /** So many of the rows whose vectors are nearest, and the cosines, in no order. */
  nearestOf(vector: Float32Array, count: number): readonly Near[];
}

interface Near {
  readonly row: number;
  readonly similarity: number;
}

const asked = 4; // of these the nearest is found once more: sums of other orders differ in the last digits
const settings = { connectivity: 32, expansion_add: 128, expansion_search: 128 };

/**
 * Makes an index by usearch (HNSW, arXiv 1603.09320): it finds nearly always the nearest, in time that grows with the logarithm of the
 * number of rows. What it finds is compared exactly.
 *
 * @param vectorOf the vector of a row that was added
 * @param option who needs it, for the message
 * @throws UsageError when usearch is not installed
 */
export function openNeighbours(
  dimensions: number,
  vectorOf: (row: number) => Float32Array,
  option: string,
): Neighbours {
  const { Index, MetricKind, ScalarKind } = loadUsearch(option);
  const index = new Index({
    ...settings,
    dimensions,
    metric: MetricKind.IP,
    quantization: ScalarKind.F32, // with rounded ones, the same vector may not be the nearest to itself
    multi: false,
  });
  let size = 0;
  const nearestOf = (vector: Float32Array, count: number): Near[] => {
    if (size === 0) return [];
    const { keys } = index.search(vector, Math.min(count, size), 1);
    return Array.from(keys, (key) => ({ row: Number(key), similarity: cosine(vector, vectorOf(Number(key))) }));
  };
  return {
    add(row, vector) {
      index.add(BigInt(row), vector, 1); // one thread, so that the same rows make the same index
      size++;
    },
    nearestOf,
    nearest: (vector) =>
      nearestOf(vector, asked).reduce<Near | undefined>(
        (best, one) => (best === undefined || one.similarity > best.similarity ? one : best),
        undefined,
      ),
  };
}

/** @param option who needs it @throws UsageError when usearch is not installed */
export function expectUsearch(option: string): void {
  loadUsearch(option);
}

function loadUsearch(option: string): typeof import("usearch") {
  try {
    const require = createRequire(import.meta.url); // its other entry looks for its native part beside the caller
    return require("usearch") as typeof import("usearch"); // by its own types
  } catch (cause) {
    throw new UsageError(
      `${option}: expected the package usearch, which finds near vectors, and it is not installed or does not run here; install it beside alpagasus: npm install usearch`,
      { cause },
    );
  }
}
