/*
 * Probabilities and quantiles of the normal, Student's t and the beta distribution.
 */

/** The 97.5 % quantile of the standard normal distribution: 95 % intervals are an estimate ± this many standard errors. */
export const z975 = 1.959963984540054;

/** The chance that a standard normal value is at least as far from 0 as `z`. */
export function normalTwoSided(z: number): number {
  return complementaryError(Math.abs(z) / Math.SQRT2);
}

/** The quantile of the standard normal distribution at `p` in (0, 1): a rational start (Odeh and Evans 1974), then Newton's method. */
export function normalQuantile(p: number): number {
  if (p === 0.5) return 0;
  const tail = Math.min(p, 1 - p);
  const y = Math.sqrt(-2 * Math.log(tail));
  let z = y - (2.515517 + 0.802853 * y + 0.010328 * y * y) / (1 + 1.432788 * y + 0.189269 * y * y + 0.001308 * y ** 3);
  for (let round = 0; round < 8; round++) {
    const off = 0.5 * complementaryError(Math.abs(z) / Math.SQRT2);
    const step = ((z >= 0 ? off : 1 - off) - tail) / (Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI));
    z += step;
    if (Math.abs(step) < 1e-14 * Math.abs(z)) break;
  }
  return p < 0.5 ? -z : z;
}

/** The chance that a value of Student's t with this many degrees of freedom is at least as far from 0 as `t`. */
export function studentTwoSided(t: number, degrees: number): number {
  return incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5);
}

/** Half the width of the two-sided interval of Student's t that leaves out `outside`: 4.303 for 0.05 and 2 degrees of freedom. */
export function studentQuantile(outside: number, degrees: number): number {
  if (degrees === Infinity) return normalQuantile(1 - outside / 2);
  if (degrees === 1) return 1 / Math.tan((Math.PI * outside) / 2);
  if (degrees === 2) return (Math.SQRT2 * (1 - outside)) / Math.sqrt(outside * (2 - outside));
  let high = 1;
  while (studentTwoSided(high, degrees) > outside) high *= 2;
  return bisect((t) => studentTwoSided(t, degrees) > outside, high / 2 < 1 ? 0 : high / 2, high);
}

/** The quantile of the beta distribution at `p`. */
export function betaQuantile(p: number, a: number, b: number): number {
  return bisect((x) => incompleteBeta(x, a, b) < p, 0, 1);
}

/** The regularised incomplete beta function I_x(a, b), by its continued fraction (Abramowitz and Stegun 1964, 26.5.8). */
export function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a); // the fraction converges fast on this side
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
  const tiny = 1e-300;
  const bounded = (value: number) => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / bounded(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m < 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / bounded(1 + even * d);
    c = bounded(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / bounded(1 + odd * d);
    c = bounded(1 + odd / c);
    const change = d * c;
    fraction *= change;
    if (Math.abs(change - 1) < 1e-14) break;
  }
  return Math.min(1, front * fraction);
}

const lanczos = [
  676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
  -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
];

/** ln Γ(x) of a positive number, by Lanczos' approximation (1964). */
function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const base = x + 6.5;
  const sum = lanczos.reduce((total, value, i) => total + value / (x + i), 0.9999999999998099);
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(base) - base + Math.log(sum);
}

/** 1 - erf(x) for x >= 0, through the incomplete gamma function: by its series for small x, else by its continued fraction. */
function complementaryError(x: number): number {
  const square = x * x;
  if (square === 0) return 1;
  const front = Math.exp(-square + 0.5 * Math.log(square) - logGamma(0.5));
  if (square < 1.5) {
    let term = 2;
    let sum = 2;
    for (let k = 1.5; Math.abs(term) > 1e-17 * sum; k++) sum += term *= square / k;
    return 1 - sum * front;
  }
  let b = square + 0.5;
  let c = 1e300;
  let d = 1 / b;
  let fraction = d;
  for (let i = 1; i < 10_000; i++) {
    const a = -i * (i - 0.5);
    b += 2;
    d = 1 / (a * d + b);
    c = b + a / c;
    const change = d * c;
    fraction *= change;
    if (Math.abs(change - 1) < 1e-15) break;
  }
  return front * fraction;
}

/** The point where a condition that holds at `low` stops holding. */
function bisect(holds: (x: number) => boolean, low: number, high: number): number {
  let [from, to] = [low, high];
  for (let round = 0; round < 200 && to - from > 1e-13 * Math.abs(to); round++) {
    const middle = (from + to) / 2;
    if (holds(middle)) from = middle;
    else to = middle;
  }
  return (from + to) / 2;
}
