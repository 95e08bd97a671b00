const leastVariance = 1e-6; // a constant column becomes zeros
const most = 4; // standard deviations: limits outliers

/** Standardises each column in place: mean 0, standard deviation 1, clipped at ±4. @param values [row, column] */
export function standardiseColumns(values: Float32Array, rows: number, columns: number, from = 0): void {
  for (let c = from; c < columns; c++) {
    let sum = 0;
    let squares = 0;
    for (let at = c; at < rows * columns; at += columns) {
      sum += values[at]!;
      squares += values[at]! ** 2;
    }
    const mean = sum / rows;
    const variance = squares / rows - mean ** 2;
    const deviation = variance > leastVariance ? Math.sqrt(variance) : 1;
    for (let at = c; at < rows * columns; at += columns)
      values[at] = Math.max(-most, Math.min(most, (values[at]! - mean) / deviation));
  }
}
