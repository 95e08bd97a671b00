/** The arguments of a rating of `rows.json` that costs a dollar for a million tokens, without a check of the judge. */
export function rateRows(judge: string, ...more: readonly string[]): string[] {
  return ["rate", "rows.json", "--judge", judge, "--price", "1/1", "--no-check", ...more];
}
