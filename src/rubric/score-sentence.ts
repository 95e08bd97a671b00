import type { Rubric } from "./rubric.ts";

/*
 * Scores in a sentence: `I would give this response a 4`. A sentence may say much else, so that only what gives one score for certain is read.
 */

/** A sentence that gives a score, whole: `Overall, I would give this response a 4`. */
export const sentenceToNumber =
  /^(?:(?:overall|so|therefore|thus),?\s+)?(?:i|we)(?:\s+(?:would|will)|['’](?:d|ll))?\s+(?:rate|score|grade|give|assign)\s+(?:it|this|that|the)(?:\s+(?:assistant['’]s|model['’]s|ai['’]s))?(?:\s+(?:response|answer|output|reply))?(?:\s+(?:with\s+)?an?)?(?:\s+(?:score|rating|grade)(?:\s+of)?)?$/i;
/** What may follow the score of a sentence: its end, or a reason. Anything else may be a condition. */
const endsSentence =
  /^["')\]]{0,2}(?:\s*$|[.!;:](?:\s|$)|\s*[-–—]\s|,?\s*\(?(?:because|since|due to|as (?:it|this|that|the)\b))/i;
const startsCondition =
  /^\W*(?:if|had|were|was|unless|except|though|although|but|only|provided|assuming|with|without|or|should|once|when|until|given|in case|as long)\b/i;
/** Advice, or what the score is not: `I would not give it a 5`, `it would be a 5 if it had sources`. */
const isAdvice = /\b(?:not|never)\b|n['’]t\b|\b(?:would|could|might)\b.*\bif\b|\bif\b.*\b(?:would|could|might)\b/i;
/** A number that counts or names no things (`3 errors`, `step 3`) and is no ordinal, ratio or share: it may be a score. */
const bareNumber =
  /(?<![\w.]|\b(?:steps?|examples?|options?|questions?|parts?|lines?|paragraphs?|versions?|chapters?|items?|sections?|assistant|python|page)\s)([-+−]?\d+(?:\.\d+)?)(?![\d%:]|\.\d|(?:st|nd|rd|th)\b|\s+(?!points?\b|stars?\b|out\b|because\b|since\b|as\b|for\b|in\b|at\b)[a-z])/gi;
/** Why a sentence gives no score for certain. @param tail the text after its number, on the line @param below the lines below */
export function problemOfSentence(
  tail: string | undefined,
  below: readonly string[],
  score: string,
  scale: Rubric["scale"],
): string | undefined {
  if (tail === undefined || !endsSentence.test(tail) || startsCondition.test(tail)) return "a score on a condition";
  const others = [tail, ...below].flatMap((line) => line.split(/(?<=[.!?;])\s/));
  return others.some((other) => !isAdvice.test(other) && hasOtherScore(other, score, scale))
    ? "a sentence with more than a score"
    : undefined;
}

/** Whether a sentence holds a number that could be a score, and is another. */
function hasOtherScore(sentence: string, score: string, { min, max }: Rubric["scale"]): boolean {
  return Array.from(sentence.matchAll(bareNumber), ([, number]) => Number(number!.replace("−", "-"))).some(
    (number) => number !== Number(score) && number >= min && number <= max,
  );
}
