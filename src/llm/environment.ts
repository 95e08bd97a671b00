/** The first of some environment variables that is set; an empty one counts as unset. */
export function firstSet(environment: NodeJS.ProcessEnv, names: readonly string[]): string | undefined {
  return names.map((name) => environment[name]?.trim()).find(Boolean);
}
