import type { Rubric } from "./rubric.ts";

/*
 * Scores in a sentence: `I would give this response a 4`. A sentence may say much else, so that only what gives one score for certain is read.
 */

/** A sentence that gives a score, whole: `Overall, I would give this response a 4`. */
export const sentenceToNumber =
  /^(?:(?:overall|so|therefore|thus|based on (?:the|these|this) \w+|in my (?:opinion|view)),?\s+)?(?:i|we)(?:\s+(?:would|will)|['’](?:d|ll))?\s+(?:rate|score|grade|give|assign)\s+(?:it|this|that|the)(?:\s+(?:ai\s+)?(?:assistant['’]s|model['’]s|ai['’]s))?(?:\s+(?:response|answer|output|reply))?(?:\s+(?:with\s+)?an?)?(?:\s+(?:score|rating|grade)(?:\s+of)?)?$/i;
/** What may follow the score of a sentence: its end, a remark in brackets, or a reason. Anything else may be a condition. */
const endsSentence =
  /^["')\]]{0,2}(?:\s*$|[.!;:](?:\s|$)|\s*[-–—]\s|\s*\((?!for\b|before\b|after\b|if\b|except\b|minus\b|not\b|out of\b|on a scale\b|[^)]*\bonly\b)[^)\d]{0,200}\)|,?\s*\(?(?:(?:mainly|mostly|largely|primarily|partly)\s+)?(?:because|since|due to|given (?:its|how|the (?:\w+ )?(?:errors?|mistakes?|issues?|omissions?|lack|quality|accuracy))\b|for (?:the following|these|the) reasons?\b|which (?:reflects|shows|indicates)\b|as (?!long\b|an?\b|if\b|soon\b|far\b|though\b)))/i;
const startsCondition =
  /^\W*(?:if|unless|or|minus|less|should|only)\b|^[^\w.!]*(?:had|were|was|except|though|although|but|provided|assuming|with|without|once|when|until|in case|as long)\b/i;
/** What may give another score in the sentence after it, in any form. */
const mayTakeBack = /^\W*(?:but|however|though|although|with|without|yet|still)\b/i;

const number = String.raw`([-+−]?\d+(?:\.\d+)?)`;
/** That it counts no things (`3 errors`) and is no ordinal, time or share. */
const endOfNumber = String.raw`(?![\d%:]|[-–]\w|\.\d|(?:st|nd|rd|th)\b|\s+(?!points?\b|stars?\b|out\b|because\b|since\b|as\b|for\b|in\b|at\b|is\b|would\b|instead\b|now\b|overall\b)[a-z])`;
/** Another score: that the judge gives, that the answer is or gets, or that is out of the scale's most. */
const otherScores = (max: number) => [
  new RegExp(
    String.raw`\b(?:i\b|(?:i|we)\b(?=[^.\d]{0,60}\b(?:rate|score|grade|assign)))[^.\d]{0,60}\b(?:rate|score|grade|give|assign|settle on|go with|say)\b[^.\d]{0,40}?(?<![\w.])${number}${endOfNumber}`,
    "gi",
  ),
  new RegExp(
    String.raw`\bi\b[^.\d]{0,30}\b(?:give|assign)\b[^.\d]{0,40}?\d[^.\d]{0,40}\band\b[^.\d]{0,40}?(?<![\w.])${number}${endOfNumber}`,
    "gi",
  ),
  new RegExp(
    String.raw`\b(?:makes?|making|is|['’]s|becomes?|warrants?|and|worth)\s+(?:it\s+)?(?:(?:only|just|really|rather|more like|more of)\s+)?an?\s+${number}${endOfNumber}`,
    "gi",
  ),
  new RegExp(
    String.raw`\b(?:(?:deserves?|merits?)\s+(?:(?:only|just|really)\s+)?(?:an?\s+)?|(?:earns?|gets?|receives?)\s+(?:(?:only|just|really)\s+)?an?\s+)${number}${endOfNumber}`,
    "gi",
  ),
  new RegExp(
    String.raw`\b(?:score|rating|grade)\s+(?:is|of|should be)\s+(?:an?\s+)?${number}(?!\s+(?:would|requires?|could|might)\b)${endOfNumber}`,
    "gi",
  ),
  new RegExp(
    String.raw`\b(?:so|maybe|perhaps|rather|actually|instead|more of|more like)\W+(?:an?\s+)?${number}\W*$`,
    "gi",
  ),
  new RegExp(String.raw`\ban?\s+${number}\s+(?:is (?:fairer|closer|more|better)|for)\b`, "gi"),
  new RegExp(String.raw`(?<![\w.])${number}\s*(?:/|out of)\s*${max}\b(?!\s+[a-z]+s\b)`, "gi"),
];
/** What comes before a number that the score is not, or that it would take more to get. */
const isAdvice =
  /\b(?:(?:not|never)|\w+n['’]t|to (?:get|reach|earn|be|deserve|merit|score|achieve|make it|receive)|from being|short of)\b[^.,;:\d]{0,40}$/i;
const isConditional = /\b(?:would|could|might)\b.{0,200}\bif\b|\bif\b.{0,200}\b(?:would|could|might)\b/i;
const longestLine = 1000; // characters that are read

/** Why a sentence gives no score for certain. @param tail the text after its number, on the line @param below the lines below */
export function problemOfSentence(
  tail: string | undefined,
  below: readonly string[],
  score: string,
  scale: Rubric["scale"],
): string | undefined {
  if (tail === undefined || !endsSentence.test(tail) || startsCondition.test(tail)) return "a score on a condition";
  const patterns = otherScores(scale.max);
  const isBare = (found: string) =>
    Number(found) !== Number(score) && Number(found) >= scale.min && Number(found) <= scale.max;
  if (mayTakeBack.test(tail) && (tail.match(/(?<![\w.])\d+(?:\.\d+)?(?![\w%])/g) ?? []).some(isBare))
    return "a sentence with more than a score";
  const others = [tail, ...below].flatMap((line) => line.slice(0, longestLine).split(/(?<=[.!?;])\s/));
  return others.some((other) => !isConditional.test(other) && hasOtherScore(other, patterns, score, scale))
    ? "a sentence with more than a score"
    : undefined;
}

function hasOtherScore(
  sentence: string,
  patterns: readonly RegExp[],
  score: string,
  { min, max }: Rubric["scale"],
): boolean {
  return patterns.some((pattern) =>
    Array.from(sentence.matchAll(pattern)).some((found) => {
      const at = found.index + found[0].lastIndexOf(found[1]!);
      const other = Number(found[1]!.replace("−", "-"));
      return other !== Number(score) && other >= min && other <= max && !isAdvice.test(sentence.slice(0, at));
    }),
  );
}
