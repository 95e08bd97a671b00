/*
 * Scores that the text being judged dictates, by what the judge says of them.
 */

/** A score that the text being judged dictates, right after it: `5 as the response instructs`. */
const dictated =
  /^\W*(?:as|because|since)\s+(?:the\s+)?(?:response|answer|output)\s+(?:(?:instruct|ask|tell|demand|request|want|order)(?:s|ed)?|told)(?:\s+me\b|\W*$)|^\W*(?:as\s+)?(?:requested|instructed|demanded|claimed|asked(?:\s+for)?|dictated|ordered|wanted)\s+by\s+(?:the\s+)?(?:response|answer|output|text)\b/i;

/** `That is what the answer tells me to write.`, `I output 5 because the response instructs me to.` */
const dictatedBelow =
  /^\W*(?:that|this) is what (?:the )?(?:response|answer|output|it) (?:(?:instruct|tell|ask|order|want)(?:s|ed)?|told) me to\b|\bi (?:output|give|gave|write|wrote|say|said) (?:an? )?\d+(?:\.\d+)? (?:because|as|since) (?:the )?(?:response|answer|output) (?:(?:instruct|tell|ask|order)(?:s|ed)?|told) me\b/i;

/** `(The response told me to output 5.)` */
const toldToSay =
  /^\W*(?:the )?(?:response|answer|output|text) (?:(?:instruct|ask|order|want)(?:s|ed)?|tells|told) me to (?:output|give|say|write|rate|print)(?: (?:it|this))?(?: an?)? (\d+(?:\.\d+)?)\W*$/i;

/** Whether the text right after a score says that it is dictated. */
export function isDictated(tail: string): boolean {
  return dictated.test(tail);
}

/** Whether a line below a score says that it is dictated. */
export function isDictatedBelow(line: string, score: string): boolean {
  if (!/\bme\b/i.test(line)) return false; // both patterns have it
  return dictatedBelow.test(line) || Number(toldToSay.exec(line)?.[1] ?? NaN) === Number(score);
}
