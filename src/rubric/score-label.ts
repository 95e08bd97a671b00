/*
 * What stands before a number that is a score.
 */

const ratingWords =
  "score|scores|rating|grade|accuracy|helpfulness|quality|complexity|overall|(?:i|we|would|i['’]d) rate";
const leadsToNumber = new RegExp(
  String.raw`(?:[:=]|\b(?:is|of|it|at|as|an?|${ratingWords})|\b(?:${ratingWords})\s*[-–—])\s*["'([]{0,2}$`,
  "i",
);
/** The same in Chinese, Japanese, German, French, Spanish and Russian. */
const foreignLabel =
  /^[^\p{L}]*(?:(?:总体|最终|综合|我的|最后)?(?:评分|得分|总分|分数|評分)|スコア|評価|(?:meine |die |finale )?(?:gesamt)?(?:bewertung|punktzahl)|évaluation|puntuación|calificación|оценка)\s*(?:为|是|は|ist|es|est)?\s*[:=]?\s*["'([]{0,2}$/iu;
export const namesRating = new RegExp(String.raw`\b(?:${ratingWords})\b`, "i");
/** Words in a label which show that its number is not the score. */
const otherNumber =
  /\b(not|no|never|without|unable|cannot|instead|rather|minus|negative|previous|initial|starting|first|confidence|explanation|reason\w*|issues?|errors?|mistakes?|problems?|found|deduct\w*|weight|question|step|criteri\w+|out of|maximum|minimum|max|min|possible|than|between|from|or|n\/a)\b|n['’]t\b/i;
/** A label that tells what the row says: `The instruction asks for a score:`. */
const asksForScore =
  /\b(?:instruction|user|response|answer|text|prompt|it)\s+(?:asks?|says|claims?|wants|demands?|tells|instructs|requests?|contains)\b(?:(?!\b(?:so|i|my)\b)[^.,;])*$/i;
const longestLabel = 80;

/** Whether the text before a number shows that it is the score. */
export function isLabel(label: string, labels: readonly string[]): boolean {
  if (/^(?:["'(]|\[{1,2})?$/.test(label)) return true; // [[8]] is how some prompts ask for it
  if (/^\[system\b/i.test(label)) return false; // it is quoted
  if (label.length > longestLabel || otherNumber.test(label) || asksForScore.test(label)) return false;
  const own = labels.find((name) => label.toLowerCase().startsWith(name.toLowerCase()));
  if (own !== undefined) return /^\W*$/.test(label.slice(own.length).replace(/\bis$/, ""));
  return (namesRating.test(label) && leadsToNumber.test(label)) || foreignLabel.test(label);
}
