const rounds = 10_000;
const precision = 1e-12;
const prior = 0.1; // of a tie, added for every pair of arms: keeps strengths finite if an arm never loses

/**
 * Log strengths, with mean 0, in the model of Bradley and Terry (1952): arm i beats arm j with probability s_i / (s_i + s_j).
 * Fitted by minorisation (Hunter 2004).
 *
 * @param wins `wins[i][j]`: how often i beat j, a tie counting half for both
 */
export function bradleyTerry(wins: readonly (readonly number[])[]): number[] {
  const arms = wins.length;
  const won = wins.map((row, i) => row.map((count, j) => (i === j ? 0 : count + prior / 2)));
  const total = won.map((row) => row.reduce((sum, count) => sum + count, 0));
  let strengths = Array.from({ length: arms }, () => 1);
  for (let round = 0; round < rounds; round++) {
    const next = strengths.map((strength, i) => {
      let expected = 0;
      for (let j = 0; j < arms; j++) if (i !== j) expected += (won[i]![j]! + won[j]![i]!) / (strength + strengths[j]!);
      return total[i]! / expected;
    });
    const scale = Math.exp(next.reduce((sum, strength) => sum + Math.log(strength), 0) / arms);
    const scaled = next.map((strength) => strength / scale);
    const change = Math.max(...scaled.map((strength, i) => Math.abs(strength - strengths[i]!)));
    strengths = scaled;
    if (change < precision) break;
  }
  return strengths.map((strength) => Math.log(strength));
}
