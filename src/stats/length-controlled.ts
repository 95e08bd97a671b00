/*
 * The win rate that would have been if both sides' answers were as long: judges favour the longer one.
 */

/** One decided pair: what it counts as a win (1, 0.5 for a tie, 0), and how much longer the first arm's answer is, in characters. */
export interface LengthPair {
  readonly win: number;
  readonly lengthDifference: number;
}

const rounds = 50;
const ridge = 0.01; // on the length's coefficient: keeps it finite where length alone decides

/**
 * The length-controlled win rate of AlpacaEval 2 (Dubois et al. 2024, arXiv 2404.04475): a logistic model of winning by the
 * arm and by tanh(difference / its standard deviation), read off where the difference is 0. The term of theirs for how hard
 * a prompt is needs many models and is left out.
 *
 * @param weights how often each pair counts
 */
export function lengthControlledWinRate(pairs: readonly LengthPair[], weights?: ArrayLike<number>): number {
  const spread = standardDeviation(pairs.map(({ lengthDifference }) => lengthDifference));
  const terms = pairs.map(({ lengthDifference }) => (spread > 0 ? Math.tanh(lengthDifference / spread) : 0));
  let arm = 0;
  let length = 0;
  for (let round = 0; round < rounds; round++) {
    let [gradientArm, gradientLength] = [0, -ridge * length];
    let [armArm, armLength, lengthLength] = [1e-9, 0, ridge];
    for (const [i, { win }] of pairs.entries()) {
      const weight = weights ? weights[i]! : 1;
      if (weight === 0) continue;
      const term = terms[i]!;
      const chance = 1 / (1 + Math.exp(-(arm + length * term)));
      const error = weight * (win - chance);
      const curvature = weight * chance * (1 - chance);
      gradientArm += error;
      gradientLength += error * term;
      armArm += curvature;
      armLength += curvature * term;
      lengthLength += curvature * term * term;
    }
    const determinant = armArm * lengthLength - armLength ** 2;
    const stepArm = clamp((lengthLength * gradientArm - armLength * gradientLength) / determinant);
    const stepLength = clamp((armArm * gradientLength - armLength * gradientArm) / determinant);
    arm += stepArm;
    length += stepLength;
    if (Math.abs(stepArm) + Math.abs(stepLength) < 1e-10) break;
  }
  return pairs.length > 0 ? 1 / (1 + Math.exp(-arm)) : NaN;
}

function clamp(step: number): number {
  return Math.max(-2, Math.min(2, step));
}

function standardDeviation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
