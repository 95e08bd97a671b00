/** Deeper values are no data; programs that read them, DuckDB among them, may end without a word. */
export const maxDepth = 100;

/** Whether a value has more objects and lists inside each other than {@link maxDepth}. */
export function isTooDeep(value: unknown): boolean {
  return isDeeper(value, maxDepth);
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  for (const name in value) if (isDeeper((value as Record<string, unknown>)[name], levels - 1)) return true;
  return false;
}
