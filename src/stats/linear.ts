/*
 * Systems of linear equations with a symmetric positive definite matrix, in row-major order.
 */

/** The lower Cholesky factor of a matrix, from its lower half. */
export function cholesky(matrix: Float64Array, size: number): Float64Array {
  const factor = new Float64Array(size * size);
  for (let a = 0; a < size; a++) {
    for (let b = 0; b <= a; b++) {
      let sum = matrix[a * size + b]!;
      for (let k = 0; k < b; k++) sum -= factor[a * size + k]! * factor[b * size + k]!;
      factor[a * size + b] = a === b ? Math.sqrt(Math.max(sum, 1e-12)) : sum / factor[b * size + b]!;
    }
  }
  return factor;
}

/** Solves factor · factorᵀ · x = right. */
export function solve(factor: Float64Array, right: Float64Array, size: number): Float64Array {
  const x = right.slice();
  for (let a = 0; a < size; a++) {
    for (let k = 0; k < a; k++) x[a]! -= factor[a * size + k]! * x[k]!;
    x[a]! /= factor[a * size + a]!;
  }
  for (let a = size - 1; a >= 0; a--) {
    for (let k = a + 1; k < size; k++) x[a]! -= factor[k * size + a]! * x[k]!;
    x[a]! /= factor[a * size + a]!;
  }
  return x;
}
