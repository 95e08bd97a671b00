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

const cannot = String.raw`(?:cannot|can['’]?t|can not|won['’]t|will not|(?:am |['’]m )(?:unable|not able) to|(?:must |have to )?(?:refuse|decline) to)`;
const judging = "judge|rate|score|grade|evaluate|compare|assess";
const judgement = "rating|score|grade|judge?ment|verdict|evaluation|assessment|comparison";

/** A line that takes a judgement back: `I'm sorry, but I cannot rate this content, since …`, `N/A`. */
export const takenBack = new RegExp(
  String.raw`^\W*(?:n\s*/\s*a|(?:(?:(?:i['’]m |i am )?sorry|but|however|unfortunately|actually)\b\W*){0,3}i ?${cannot} (?:(?:${judging}|decide|choose)(?: (?:between )?(?:this|these|those|them|it|that|the(?= (?:answers?|responses?|content|row|texts?)\b))(?: (?:two |given )?(?:answers?|responses?|content|requests?|texts?|rows?|examples?|prompts?|conversations?))?)?|(?:provide|give|assign|offer|make) (?:an?|any|the|my) (?:[a-z]+ )?(?:${judgement})s?\b[^.\d]*|(?:assist|help|comply|engage)(?: you)?(?: with (?:this|that|it|your|these)(?: request)?)?)(?:[, ]+(?:as|because|since|due)\b.*)?)\W*$`,
  "i",
);

/** Words of a judge that judges nothing, anywhere in a reply. That it cannot decide between two is a draw, and none of these. */
const declinesToJudge = new RegExp(
  String.raw`(?:^|[.!?\n\r]\s*|\bbut )i ?${cannot} (?:(?:${judging}) (?:this|these|those|them|either|the (?:two )?(?:answers?|responses?))\b|(?:provide|give|assign|make) (?:an?|any|the|my) (?:[a-z]+ )?(?:${judgement})\b|(?:judge|assist|help|comply)\W*(?:[\n\r[]|$))`,
  "i",
);

/** Whether a reply says that it judges nothing. */
export function isDeclined(text: string): boolean {
  return declinesToJudge.test(text.slice(0, longestLook)) || takenBack.test(text.slice(0, longestLook));
}

const longestLook = 4000; // characters

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
