/** What a text is that is not JSON, where it shows. */
const notJson: readonly (readonly [RegExp, string])[] = [
  [/^version https:\/\/git-lfs/, "a pointer of Git LFS; fetch the data with git lfs pull"],
  [/^\s*</, "HTML or XML; was a page downloaded in place of the data?"],
  [/^\s*\{\s*'/, "Python's own form; write the data with json.dumps"],
  [/[:[,]\s*-?(NaN|Infinity)\b/, "NaN or Infinity, which JSON does not have; write null"],
  [/^\s*\{\s*$/, "an object over several lines; write one a line (jq -c . FILE), or a list of them"],
  [/\}\s*\{/, "several objects; write one a line (jq -c . FILE), or a list of them"],
  [/^\s*\[.*\]\s*\[/s, "several lists; join them (jq -s add FILE)"],
];

/** What the text is instead, as `, got …`; undefined where it does not show. */
export function explainNotJson(text: string): string | undefined {
  const [, what] = notJson.find(([form]) => form.test(text)) ?? [];
  return what === undefined ? undefined : `, got ${what}`;
}
