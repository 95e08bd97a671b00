import type { Rubric } from "./rubric.ts";

/*
 * Scores that a judge takes back for others, in the words that it has for that. What it says of the answer, and what would raise a score, are none.
 */

const revisionWord =
  "revis(?:ed|ion)|correct(?:ed|ion)|updated|lower(?:ed|ing)|rais(?:ed|ing)|reduced|change|changing|adjust(?:ed|ing)|downgraded|upgraded|final|actually|no|wait|reconsider(?:ed|ing)?|instead";
const digits = String.raw`([-+−]?\d+(?:\.\d+)?)`;
/** That a number is a whole one, and neither a ratio, an ordinal nor a count of things. */
const endOfNumber = String.raw`(?![\d%:]|\.\d|(?:st|nd|rd|th)\b|\s+(?!points?\b|stars?\b|out\b|because\b|since\b|as\b)[a-z])`;
/** A revision in brackets or after a comma on the line of the score, alone on a line of its own, or with the word score. */
const revisions = [
  new RegExp(
    String.raw`[(,;]\s*(?:${revisionWord})(?:\s+(?:to|score|rating|is))*\s*[:=]?\s*([-+−]?\d+(?:\.\d+)?)(?:\s*(?:/|out of)\s*\d+)?\s*\)?\.?\s*$`,
    "i",
  ),
  new RegExp(
    String.raw`^\W*(?:(?:${revisionWord})\b\W*){1,3}(?:(?:it|that|is|to|score|rating|a|the|my)\b\W*){0,4}([-+−]?\d+(?:\.\d+)?)(?:\s*(?:/|out of)\s*\d+)?\W*$`,
    "i",
  ),
  // what the judge does itself: advice (`would raise it to 5`) and what the answer did are none
  new RegExp(
    String.raw`(?:\b(?:i|we)\s+(?:have\s+|will\s+|therefore\s+)?|(?:→|->)\s*)(?:lower|rais|chang|reduc|adjust|downgrad|upgrad|revis|correct|updat)(?:e|ed|ing)?\b(?:\s+(?:it|this|that|my|the|score|rating|down|up)){0,3}\s+to\s+${digits}${endOfNumber}`,
    "i",
  ),
  new RegExp(
    String.raw`^\W*final (?:answer|verdict)\b\W*(?:(?:it|is|an?|the)\b\W*){0,2}${digits}(?:\s*/\s*\d+)?\W*$`,
    "i",
  ),
  new RegExp(
    String.raw`^\W*(?:thus|so|hence|therefore)\b\W*(?:(?:it|is|an?|the|my|final|gets?)\b\W*){0,4}(?:(?:score|rating)\b\W*(?:is\b\W*)?${digits}|${digits}\s*/\s*\d+)\W*$`,
    "i",
  ),
  new RegExp(
    String.raw`(?:^|[.;]\s)\W{0,20}(?:(?:so|thus|therefore|overall)\W+)?(?:i|we)\s+(?:will\s+)?(?:rate|score|grade)\s+(?:it|this|that|the\s+\w+)\s+(?:an?\s+|as\s+|at\s+)?${digits}${endOfNumber}`,
    "i",
  ),
  // with, without or if there were something, it is advice
  new RegExp(
    String.raw`^\W*(?:but|however|so|still|therefore|thus|overall|considering|given)\b(?:(?!\b(?:if|with|without|were)\b)[^.\d]){0,80}?\bi(?:['’]d| would| will| must)?\s+(?:give|assign|go with)\s+(?:(?:it|this|that|the \w+)\s+)?(?:an?\s+)?${digits}(?:\s*(?:/|out of)\s*\d+)?(?:\s+points?)?\W*$`,
    "i",
  ),
  new RegExp(
    String.raw`(?:\bbut\s+(?:it|this|the \w+)|^\W*(?:this|the) (?:response|answer) (?:only|really|actually))\s+(?:only\s+|really\s+|actually\s+)?deserves\s+(?:an?\s+)?${digits}(?:\s*(?:/|out of)\s*\d+)?\W*$`,
    "i",
  ),
  new RegExp(
    String.raw`^\W*(?:but|however|still|therefore|thus|considering|given)\b(?:(?!\b(?:if|with|without|were|would|could|might|maximum|highest|perfect|passing|possible|best|full|says?|states?|claims?)\b)[^.\d]){0,80}?\b(?:(?:the|my|its) )?(?:score|rating)\s+(?:is|should be|becomes|drops to)\s+(?:an?\s+)?${digits}(?:\s*(?:/|out of)\s*\d+)?(?:\s+points?)?\W*$`,
    "i",
  ),
  new RegExp(
    String.raw`^\W*(?:on (?:second thought|reflection|closer inspection|(?:a )?second look)|after re-?reading(?: it)?|having reconsidered)\b\W*(?:i(?:['’]d| would| will)?\s+(?:say|think|give|rate|score|go (?:with|for))(?:\s+(?:it|this|that))?(?:\s+(?:is|deserves|merits|gets))?|(?:this|it|that|the (?:response|output))(?:['’]s|\s+(?:is|deserves|merits|gets))|(?:make|call) it|(?:the|my) (?:score|rating) (?:is|should be))?\s*(?:more like\s+|only\s+|really\s+)?(?:an?\s+)?${digits}(?:\s*/\s*\d+)?(?:\s+at (?:best|most))?\W*$`,
    "i",
  ),
  new RegExp(
    String.raw`(?:(?:\bi (?:misread|misjudged|made a mistake|made an error|was wrong|overlooked)|\bmy mistake)\b[^\d]{0,80}?\bshould be|(?:\bi (?:misread|misjudged|made a mistake|made an error|was wrong|overlooked)\b|\bmy mistake\b|^\W*correction\s*:)[^\d]{0,80}?\b(?:it|score|rating|this)\s+(?:should be|is|deserves))\s+(?:an?\s+)?${digits}(?:\s*/\s*\d+)?\W*$`,
    "i",
  ),
  new RegExp(
    String.raw`^\W*(?:verdict|in (?:sum|summary|conclusion)|overall|conclusion|edit|update|bottom line|to sum up|all in all|mine)\W+${digits}(?:\s*(?:/|out of)\s*\d+)?\W*$`,
    "i",
  ),
  new RegExp(
    String.raw`^\W*(?:this|it|the (?:response|answer|output))\s+(?:deserves|earns|merits|warrants)\s+(?:an?\s+${digits}(?:\s*(?:/|out of)\s*\d+)?|${digits}\s*(?:/|out of)\s*\d+)\W*$`,
    "i",
  ),
  new RegExp(
    String.raw`^\W*(?:(?:actually|no|so|hmm|wait|well|ok|okay)\b\W+)+(?:let['’]?s\s+|i(?:['’]d| would| will)\s+)?(?:make|call) (?:that|it) (?:an?\s+)?${digits}(?:\s*(?:/|out of)\s*\d+)?\W*$`,
    "i",
  ),
  new RegExp(
    String.raw`^\W*(?:(?:so|thus|therefore|overall)\W+)?(?:i|we)\s+(?:would\s+|will\s+)?give\s+(?:it|this|that|the \w+)\s+(?:an?\s+)?${digits}(?:\s*(?:/|out of)\s*\d+)\W*$`,
    "i",
  ),
  new RegExp(String.raw`^\W*(?:average|mean|total|final)\W+${digits}\s*/\s*\d+\W*$`, "i"),
  new RegExp(
    String.raw`^\W*(?:in (?:conclusion|summary)|for (?:these|this) reasons?|(?:given|due to|considering) (?:these|this|the) \w+|as a result|overall|thus|therefore|hence|so|actually|sorry|let me reconsider)\b(?:(?!\b(?:if|with|without|were|would have|perfect|full|maximum|not|never|cannot)\b|n['’]t\b)[^\d]){0,80}?(?:\bi\b(?:(?!\b(?:not|never|cannot)\b|n['’]t\b)[^\d]){0,20}\b(?:give|rate|assign)\s+(?:it|this|that|the \w+)\s+(?:an?\s+|as\s+|at\s+)?(?:score of\s+)?|\b(?:receives?|gets?)\s+an?\s+(?:score of\s+)?|\bi(?:['’]d| would)?\s+say\s+|\bi meant\s+)${digits}(?:\s*(?:/|out of)\s*\d+)?(?:\s+points?)?\W*$`,
    "i",
  ),
  new RegExp(
    String.raw`\bi\s+(?:would|will|need to|have to|must|should)\s+(?:lower|reduce|downgrade|revise|correct|change)\s+(?:(?:it|this|that|my|the|score|rating)\s+){1,2}to\s+${digits}${endOfNumber}`,
    "i",
  ),
  new RegExp(
    String.raw`^\W*up?on (?:further |closer |second )?(?:reflection|review|thought|inspection)\W+(?:an?\s+)?${digits}(?:\s*(?:/|out of)\s*\d+)?\W*$`,
    "i",
  ),
  new RegExp(
    String.raw`\bi(?:['’]d| would)? (?:say|think) (?:an?\s+)?${digits} is (?:fairer|closer|more (?:fair|apt|accurate|appropriate))\b`,
    "i",
  ),
  new RegExp(
    String.raw`\b(?:${revisionWord})\b[^.\d]{0,30}\b(?:score|rating|grade)\b[^.\d]{0,20}?([-+−]?\d+(?:\.\d+)?)(?![\d%]|\.\d)`,
    "i",
  ),
];

/** Whether a text gives a different score in place of the first: `(revised: 2)`, `I change my rating to 2`. */
export function isRevised(text: string, score: string, { min, max }: Rubric["scale"]): boolean {
  if (!/\d/.test(text)) return false; // most lines: it spares them all the patterns
  return revisions.some((revision) => {
    const [, ...found] = revision.exec(text) ?? [];
    const number = Number((found.find((one) => one !== undefined) ?? score).replace("−", "-"));
    return number !== Number(score) && number >= min && number <= max;
  });
}

/** A score in a line of Chinese below another: `我给3分`, `修正：3`. */
const chineseScore =
  /(?:给|应该是|应为|修正|更正|改为)\s*[:：]?\s*(\d+(?:\.\d+)?)\s*分?[^\p{L}\d]*$|^\s*(\d+(?:\.\d+)?)\s*分[^\p{L}\d]*$/u;

/** Whether a line of Chinese gives another score. */
export function isOtherInChinese(line: string, score: string): boolean {
  const [, given, alone] = chineseScore.exec(line) ?? [];
  return Number(given ?? alone ?? score) !== Number(score);
}
