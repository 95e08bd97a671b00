/*
 * Number formats for the terminal, messages and the page. They do not depend on the locale.
 */

/** `52,002`: a whole number with thousands separators. */
export function formatCount(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `1 win`, `2 wins` */
export function formatNumbered(value: number, one: string, many: string): string {
  return `${formatCount(value)} ${value === 1 ? one : many}`;
}

/** A p-value with its sign: `= 0.032`, `< 0.001` */
export function formatP(p: number): string {
  if (p < 0.001) return "< 0.001";
  const digits = [3, 4, 5, 6, 9].find((count) => Number(p.toFixed(count)) !== 0.05) ?? 3; // 0.050 would not tell on which side of the limit it is
  return `= ${p.toFixed(digits)}`;
}

/** `17.6 %`; `<0.1 %` and `>99.9 %` for a share that would round to none or all but is not. */
export function formatShare(share: number): string {
  if (share > 0 && share < 0.0005) return "<0.1 %";
  if (share < 1 && share >= 0.9995) return ">99.9 %";
  return `${(100 * share).toFixed(1)} %`;
}

/** A share rounded down, so that one below a limit never reads as the limit. */
export function formatShareDown(share: number): string {
  return `${(Math.floor(share * 1000 + 1e-9) / 10).toFixed(1)} %`;
}

/** A benchmark's figure: shares as percentages, other metrics as they are. */
export function formatMetric(value: number): string {
  return Math.abs(value) <= 1 ? formatShare(value) : value.toFixed(3);
}

/** Two figures of a benchmark, with as many digits as tell them apart. */
export function formatApart(one: number, other: number): [string, string] {
  const asRead: [string, string] = [formatMetric(one), formatMetric(other)];
  if (one === other || asRead[0] !== asRead[1]) return asRead;
  const isShare = Math.max(Math.abs(one), Math.abs(other)) <= 1;
  const show = (value: number, digits: number) =>
    isShare ? `${(100 * value).toFixed(digits)} %` : value.toFixed(digits);
  const digits = [2, 3, 4, 5, 6].find((count) => show(one, count) !== show(other, count)) ?? 6;
  return [show(one, digits), show(other, digits)];
}

/** A score without floating-point noise: `4.5`, `2.513`. */
export function formatScore(score: number): string {
  return String(Number(score.toFixed(4)));
}

/** A threshold with all its digits: a rounded one may not keep the same rows. */
export function formatThreshold(score: number): string {
  return String(score);
}

/** `320 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min` */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** `$0.0042`, `$1.23`, `$2,730`: three significant digits below $1, cents below $1,000, whole dollars above. */
export function formatUsd(usd: number): string {
  if (usd === 0) return "$0";
  if (Math.abs(usd) >= 1000) return `$${formatCount(usd)}`;
  return Math.abs(usd) >= 1
    ? `$${usd.toFixed(2)}`
    : `$${Number(usd.toPrecision(3)).toFixed(Math.min(9, 2 - Math.floor(Math.log10(Math.abs(usd)))))}`;
}
