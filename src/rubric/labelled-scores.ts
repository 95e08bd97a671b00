import type { Rubric } from "./rubric.ts";

/*
 * Scores beside the first on its line, each with its name: `Accuracy: 4; overall: 2`.
 */

const partWords = "accuracy|helpfulness|quality|complexity|relevance|clarity|completeness|depth";
const namesPart = new RegExp(String.raw`\b(?:${partWords})\b`, "i");
const wholeScore =
  /(?<!\b(?:perfect|full|maximum|max|top|highest|passing|possible)\s)\b(?:overall|final|scores?|ratings?|grades?|verdict)(?:\s+(?:score|rating|grade))?\s*(?:[:=]|\bis\b)\s*(\d+(?:\.\d+)?)/gi;
const partScore = new RegExp(String.raw`\b(?:${partWords})(?:\s+(?:score|rating))?\s*[:=]\s*(\d+(?:\.\d+)?)`, "gi");

/** Whether a text names another score, or after the score of a part that of another part: `; overall: 2`. */
export function hasLabelledScore(label: string, tail: string, score: string, { min, max }: Rubric["scale"]): boolean {
  const found = [...tail.matchAll(wholeScore), ...(namesPart.test(label) ? tail.matchAll(partScore) : [])];
  return found.some(([, number]) => {
    const other = Number(number);
    return other !== Number(score) && other >= min && other <= max;
  });
}
