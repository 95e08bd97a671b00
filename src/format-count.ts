/** `52,002`: a whole number with its thousands apart, without loading a locale. */
export function formatCount(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
}
