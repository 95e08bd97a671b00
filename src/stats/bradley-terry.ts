import { cholesky, solve } from "./linear.ts";

const steps = 100;
const tolerance = 1e-10; // stop when no strength would move by more
const longestStep = 2; // a full step of Newton's may overshoot
const prior = 0.1; // of a tie, added for every pair of arms: keeps strengths finite if an arm never loses

/**
 * Log strengths, with mean 0, in the model of Bradley and Terry (1952): arm i beats arm j with probability s_i / (s_i + s_j).
 * Fitted by Newton's method, which takes some ten steps also where an arm hardly loses.
 *
 * @param wins `wins[i][j]`: how often i beat j, a tie counting half for both
 */
export function bradleyTerry(wins: readonly (readonly number[])[]): number[] {
  const arms = wins.length;
  const strengths = new Float64Array(arms);
  for (let step = 0; step < steps; step++) {
    const gradient = new Float64Array(arms);
    const curvature = new Float64Array(arms * arms).fill(1); // holds the mean at 0, which wins do not tell
    for (let i = 0; i < arms; i++)
      for (let j = 0; j < i; j++) {
        const won = wins[i]![j]! + prior / 2;
        const played = won + wins[j]![i]! + prior / 2;
        const p = 1 / (1 + Math.exp(strengths[j]! - strengths[i]!));
        const surprise = won - played * p;
        gradient[i]! += surprise;
        gradient[j]! -= surprise;
        const weight = played * p * (1 - p);
        curvature[i * arms + i]! += weight;
        curvature[j * arms + j]! += weight;
        curvature[i * arms + j]! -= weight; // the lower half is what is read
      }
    const move = solve(cholesky(curvature, arms), gradient, arms);
    const longest = Math.max(0, ...move.map(Math.abs));
    const share = Math.min(1, longestStep / Math.max(longest, tolerance));
    for (let i = 0; i < arms; i++) strengths[i]! += share * move[i]!;
    if (longest < tolerance) break;
  }
  const mean = strengths.reduce((sum, one) => sum + one, 0) / Math.max(1, arms);
  return Array.from(strengths, (strength) => strength - mean);
}
