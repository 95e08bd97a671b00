/** A judge's name without the folders of its file: `recorded:…/scores.json`. */
export function shortName(judge: string): string {
  return judge.replace(/^([a-z]+:).*[/\\]([^/\\]+)$/, (name, kind: string, file: string) =>
    /^https?:/.test(name) ? name : `${kind}…/${file}`,
  );
}
