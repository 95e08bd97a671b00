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
const judgement = "rating|score|grade|judge?ment|verdict|evaluation|assessment|comparison";
const judged =
  "(?:(?:(?:this|that|these|those|the|your|such|either)(?: two| kind of| type of)?(?: harmful)?|harmful)(?: (?:content|requests?|responses?|answers?|texts?|rows?|examples?|prompts?|conversations?|material|input))?|it|them|between them)";

/**
 * A sentence of a judge that judges nothing: `I'm sorry, but I can't assist with that request`, `I cannot rate this content, since it …`. What
 * it says of one side is none (`I cannot rate this higher`, `… by its length`), and neither is a draw (`I cannot decide between them`).
 */
const declines = new RegExp(
  String.raw`^\W*(?:(?:(?:i['’]m |i am )?sorry|i apologi[sz]e|as an ai(?: [a-z]+){0,2}|but|however|unfortunately|actually)\b\W*){0,3}(?:i ?${cannot}|unable to) (?:(?:judge|rate|score|grade|evaluate|compare|assess)(?: ${judged})?|(?:assist|help|comply|engage|continue)(?: you)?(?: with ${judged})?|fulfill? ${judged}|(?:provide|give|offer|assign|make) (?:an?|any|the|my) (?:${judgement})s?(?: (?:for|of|to|on) ${judged})?)(?:[, ]+(?:because|since|due to|as (?:it|this|that|they|these|those|the|both))\b(?!.*\b(?:but|identical|same|equal\w*|alike)\b).*)?\W*$`,
  "i",
);

/** What each sentence that `declines` knows has in it; a line without it is told in a fraction of the time. */
const mayDecline = /cannot|can['’]?t|can not|won['’]t|will not|unable|not able|refuse|decline/i;

const longestLine = 1000; // characters that patterns look at

/**
 * Whether a line says, in a sentence of its own, that nothing is judged. What stands in quotes, in a block of code or below a colon is what an
 * answer says.
 */
function isDeclining(line: string, i: number, lines: readonly string[]): boolean {
  if (line.length > longestLine || !mayDecline.test(line) || /["“”«»]|(?:^|[\s:(])['‘`]|^\s*>/.test(line)) return false;
  if (i > 0 && /:\s*$|^\s*```/.test(lines[i - 1]!.slice(-longestLine))) return false;
  return line.split(/(?<=[.!?])\s+/).some((sentence) => declines.test(sentence));
}

/** Whether the lines below a judgement take it back. @param below those that are not empty, as they stand */
export function isTakenBack(below: readonly string[]): boolean {
  const isNothing = below.length === 1 && /^\W*n\s*\/\s*a\W*$/i.test(below[0]!.slice(0, longestLine));
  return isNothing || below.some(isDeclining);
}

/** Whether a reply says before its mark that it judges nothing, and no word of why it is a draw. */
export function isDeclined(text: string): boolean {
  const lines = text
    .replace(/\[{1,2}[A-C<>=]+\]{1,2}\W*$/, "")
    .split(/[\n\r]+/)
    .slice(0, mostLines);
  return (
    lines.some(isDeclining) &&
    !/\b(?:tie|draw|neither|equal\w*|identical|alike|same|empty)\b/i.test(text.slice(0, longestLine))
  );
}

const mostLines = 50;

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
  return findField(text, field).length > 1;
}

/** Where the values of a field begin that the outermost object of a JSON text has, after the colon. */
export function findField(text: string, field: string): number[] {
  let depth = 0;
  const found: number[] = [];
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
    if (text[next] === ":" && tryParse(text.slice(start, i + 1)) === field) found.push(next + 1);
  }
  return found;
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
