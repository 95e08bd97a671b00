import { tryParse } from "../files/try-parse.ts";
/*
 * Functions shared by the readers of replies.
 */

const refusal =
  /^\W*(i['’]m sorry|i am sorry|sorry[,.! ]|i can(['’]t|not| not)|i['’]m (not able|unable)|i am (not able|unable)|i won['’]t|as an ai)/i;

/** Whether a reply begins like a refusal to judge. */
export function isRefusal(text: string): boolean {
  return refusal.test(text);
}

const cannot = String.raw`(?:cannot|can['’]?t|can not|won['’]t|will not|(?:am |['’]m )(?:unable|not able) to|(?:refuse|decline) to)`;
const judging = "judge|rate|score|grade|evaluate|compare|assess";
const judgement = "rating|score|grade|judge?ment|verdict|evaluation|assessment|comparison";
const what = "(?:this|these|those|the)(?: two)? (?:answers?|responses?)|this|these|those|them|it|that|between them";
const sorry = String.raw`(?:(?:(?:i['’]m |i am )?sorry|but|however|unfortunately)\b\W*){0,3}`;
const longestLine = 1000; // characters that patterns look at

/** A line that takes a judgement back, wherever it stands below it: `Sorry, I cannot judge these.` */
const takesBack = new RegExp(
  String.raw`^\W*${sorry}i ?${cannot} (?:${judging}|decide|choose)(?: (?:${what}))?\W*$`,
  "i",
);

/** A line right below a judgement that says there is none: `I can't rate this content, as it …`, `N/A`, `I can't assist with that.` */
const declinesBelow = new RegExp(
  String.raw`^\W*(?:n\s*/\s*a|${sorry}i ?${cannot} (?:(?:${judging})(?: (?:${what}|(?:this|the|that) (?:content|request|text|row|example|prompt|conversation)))?|(?:provide|give|assign|make) (?:an?|any|the|my) (?:${judgement})s?(?: (?:for|to|of) (?:this|these|that|the)(?: [a-z]+){0,2})?|(?:assist|help|comply)(?: you)?(?: with (?:this|that|it|your request|this request|these))?)(?:[, ]+(?:as|because|since|due)\b(?:(?!\bbut\b)[^.\d])*)?)\W*$`,
  "i",
);

/** Whether the lines below a judgement take it back. @param below those that are not empty */
export function isTakenBack(below: readonly string[]): boolean {
  const isAtOnce = (line: string, i: number) => i === 0 && declinesBelow.test(line);
  return below.some((line, i) => line.length <= longestLine && (takesBack.test(line) || isAtOnce(line, i)));
}

/** A reply that begins by saying that it judges nothing, or says so in a sentence of its own. That it cannot decide between two is a draw. */
const declines = new RegExp(
  String.raw`^\W*${sorry}i ?${cannot} (?:${judging}|assist|help|comply)(?: (?:with )?(?:${what}|this request))?\s*[.!,;:]?\s*(?:[\n\r[]|$)|(?:^|[.!?]\s+|[\n\r]\s*)i ?${cannot} (?:provide|give|make) (?:an?|any) (?:${judgement})\s*[.!]?\s*(?:[\n\r[]|$)`,
  "i",
);

/** Whether a reply says that it judges nothing. */
export function isDeclined(text: string): boolean {
  return declines.test(text.slice(0, longestLine));
}

/** A reason, followed by the beginning of the reply. */
export function excerpt(why: string, text: string): string {
  const shown = text.trim().replace(/\s+/g, " ");
  return shown === "" ? why : `${why}: ${shown.length > 120 ? `${shown.slice(0, 120)}…` : shown}`;
}

/** Replaces full-width characters, such as digits, points, slashes and colons, by plain ones. */
export function plainCharacters(text: string): string {
  return text.replace(/[\uff01-\uff5e]/g, (character) => String.fromCharCode(character.charCodeAt(0) - 0xfee0));
}

/** A line without the marks of quotes and headings at its head. `>3` and `#1`, without a space, are none. */
export function withoutLineMarks(line: string): string {
  return line.replace(/^\s*(?:(?:>|#{1,6})\s+)+/, "");
}

/** Whether the outermost object of a JSON text has a field more than once: which of them is meant, nobody can tell. */
export function isRepeated(text: string, field: string): boolean {
  let depth = 0;
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const sign = text[i]!;
    if (sign === "{" || sign === "[") depth++;
    else if (sign === "}" || sign === "]") depth--;
    if (sign !== '"') continue;
    const start = i++;
    while (i < text.length && text[i] !== '"') i += text[i] === "\\" ? 2 : 1;
    if (depth !== 1 || i - start > longestName) continue;
    let next = i + 1;
    while (/^\s$/.test(text[next] ?? "")) next++;
    if (text[next] === ":" && tryParse(text.slice(start, i + 1)) === field) count++;
  }
  return count > 1;
}

const longestName = 1000; // characters of a field's name in a rubric, with escapes

/** The fields of a reply that is one JSON object, also between lines of three backticks. */
export function parseFields(text: string): Readonly<Record<string, unknown>> | undefined {
  const whole = text.trim();
  const lineEnd = whole.indexOf("\n");
  const isFenced =
    lineEnd > 0 && whole.length >= 6 && whole.endsWith("```") && /^```(?:json)?\s*$/i.test(whole.slice(0, lineEnd));
  const value = tryParse(isFenced ? whole.slice(lineEnd, -3) : whole);
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined; // of JSON
}

const longestRun = 100; // characters of white space or of one mark in a row
const longestAnswer = 2 ** 17; // characters without reasoning: no judgement is so long, and patterns take long on it

/** An answer that patterns can read in little time: without long runs of white space and marks; undefined where it is too long. */
export function toReadable(answer: string): string | undefined {
  const calm = answer
    .replace(/\s{100,}/g, (run) => (/[\n\r]/.test(run) ? "\n\n" : " "))
    .replace(/([*_`#.~=<>()[\]'"-])\1{100,}/g, (run) => run.slice(0, longestRun));
  return calm.length > longestAnswer ? undefined : calm;
}
