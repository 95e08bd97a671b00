import { mayBeCut, type Finish } from "../llm/reply.ts";
import type { Rating } from "../run/rating.ts";
import {
  excerpt,
  findField,
  isRefusal,
  isRepeated,
  parseFields,
  plainCharacters,
  isTakenBack,
  toReadable,
  withoutLineMarks,
} from "./reply-text.ts";
import { isDictated, isDictatedBelow } from "./dictated.ts";
import { hasLabelledScore } from "./labelled-scores.ts";
import { isOtherInChinese, isRevised } from "./revisions.ts";
import { isLabel, namesRating } from "./score-label.ts";
import type { Rubric } from "./rubric.ts";
import { problemOfSentence, sentenceToNumber } from "./score-sentence.ts";
import { type Answer, takeOffThinking } from "./thinking.ts";

/*
 * Reads the score in a reply, or the reason why there is none. A reply that cannot be read for certain is `unparsable`: a
 * number that is not the judge's score is worse than none.
 */

/** The parts of a rubric that reading depends on. */
export interface ReadingRubric {
  readonly scale: Rubric["scale"];
  readonly reply:
    | { readonly format: "number"; readonly labels?: readonly string[] | undefined }
    | { readonly format: "json"; readonly score: string };
}

/** Reads a judge's reply. */
export function readScore(text: string, finish: Finish, rubric: ReadingRubric): Rating {
  if (finish === "content-filter") return { state: "refused", detail: excerpt("filtered or declined", text) };
  const found = findAnswer(text, rubric);
  if ("problem" in found) return unread(finish, found.problem, text);
  const { answer } = found;
  if (answer.trim() === "") return unread(finish, "the reply is empty", text);
  const read = readAnswer(answer, finish, rubric);
  if (typeof read === "number") return { state: "scored", score: read };
  if (isRefusal(answer)) return { state: "refused", detail: excerpt("declined", answer) };
  return unread(finish, read, answer);
}

function readAnswer(answer: string, finish: Finish, rubric: ReadingRubric): number | string {
  if (rubric.reply.format === "json") return readJson(answer, finish, rubric);
  const plain = toReadable(answer);
  return plain === undefined ? "the reply is longer than a score can be" : readNumber(plain, finish, rubric);
}

/** A reply without its reasoning. */
export function findAnswer(text: string, rubric: ReadingRubric): Answer {
  const read = (said: string) => {
    const found = readAnswer(said, "stop", rubric);
    return typeof found === "number" ? found : undefined;
  };
  const isWhole = (said: string) => parseFields(said) !== undefined; // the end of reasoning may stand in its texts
  return takeOffThinking(text, read, rubric.reply.format === "json" ? isWhole : undefined);
}

function unread(finish: Finish, why: string, text: string): Rating {
  return { state: finish === "length" ? "truncated" : "unparsable", detail: excerpt(why, text) };
}

/** A reply that is an object with one number, though the rubric asks for a line: `{"score": 4}`. */
const soleField = /^\s*(?:```(?:json)?\s*)?\{\s*"([a-z_ ]+)"\s*:\s*"?([-+]?\d+(?:\.\d+)?)"?\s*\}\s*(?:```\s*)?$/i;
const longestLine = 1000;
const scaleBeforeColon =
  /\(?(?:on a scale (?:of|from) |out of )(?:\d+\s*(?:-|–|to)\s*)?(\d+)\)?\s*:|\(\d+\s*(?:-|–|to)\s*(\d+)\)\s*:/i;
/** A scale beside a score, or at the beginning of the line after it. */
const scaleAfter =
  /^\W*(?:on\s+)?(?:an?\s+|the\s+)?(?:scale\b\W*(?:of\b|from\b|is\b)?|out\s+of)\s*(?:\d+\s*(?:-|–|to)\s*)?(\d+)\W*$/i;
const reason = /^[,;:.]?\s*[-–—(]?\s*(because|since|as|due|explanation|reason|justification|rationale)\b/i;
const hedge =
  /^\W*(or|oder|to(?!\s+(?:get|reach|earn|achieve|merit)\b)|and|but|if(?!\s+(?:slightly|somewhat|a bit|anything|only|not)\b)|maybe|perhaps|possibly|no|not|nor|rather|actually|even|could|might|up|down|plus|minus|then|half|max|maximum|of|on|out|from)\b/i;
/** Words that take a score back or join another, also one that is no digit. */
const strongHedge =
  /^\W*(or|oder|to(?!\s+(?:get|reach|earn|achieve|merit)\b)|if(?!\s+(?:slightly|somewhat|a bit|anything|only|not)\b)|maybe|perhaps|possibly|no(?!\s+(?:errors?|issues?|mistakes?|problems?|major|minor|factual|notable|further|significant|obvious|other|apparent)\b)|not|nor|rather|actually|plus|minus|half|up|down)\b|^\s*[,:–—-]\s*but\b/i;
const numberWord = /\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten)\b/i;
const denial =
  /\b(?:i|we)\b[^.\d]{0,30}\b(?:cannot|can['’]t|can not|unable|not able)\b|^\W*(?:cannot|can['’]t|can not|unable|not able)\b|\bn\/a\b|\bnot applicable\b|\b(?:cannot|can['’]t|can not|unable to|not able to)\s+(?:be\s+)?(?:rate|score|evaluate|assess|judge|grade|give|provide)[dn]?\b|无法(?:给出)?(?:评|打)/i;

interface ScoreLine {
  readonly label: string;
  readonly score: string;
  readonly rest: string;
}

/**
 * The position in a reply of the score that was read from it: its first character, and the one after its last. Undefined
 * when it is not found.
 */
export function locateScore(
  text: string,
  score: number,
  rubric: ReadingRubric,
): readonly [start: number, end: number] | undefined {
  const found = findAnswer(text, rubric);
  if ("problem" in found) return undefined;
  const plain = plainCharacters(found.answer);
  const { reply } = rubric;
  let from = plain.search(/[-+−]?\d/);
  if (reply.format === "json") {
    const [field] = findField(plain, reply.score);
    if (field === undefined) return undefined;
    from = field;
  } else if (from >= 0) {
    const lineStart = Math.max(plain.lastIndexOf("\n", from), plain.lastIndexOf("\r", from)) + 1;
    const [label] = scaleBeforeColon.exec(plain.slice(lineStart).split(/[\n\r]/, 1)[0]!) ?? [];
    if (label !== undefined) from = plain.indexOf(label, lineStart) + label.length;
  }
  if (from < 0) return undefined;
  for (const match of plain.slice(from).matchAll(/[-+−]?\d+(?:\.\d+)?/g)) {
    if (Number(match[0].replace("−", "-")) !== score) continue;
    const start = found.start + from + match.index;
    return [start, start + match[0].length];
  }
  return undefined;
}

/** The score on the first line that holds a digit, or why there is none. */
function readNumber(text: string, finish: Finish, { scale, reply }: ReadingRubric): number | string {
  const [, field, value = ""] = soleField.exec(text) ?? [];
  if (field !== undefined && namesRating.test(field)) return onScale(value, scale);
  const raw = plainCharacters(text).split(/\r\n|[\n\r]/);
  const lines = raw.map(withoutMarkup);
  const at = lines.findIndex((line) => /\d/.test(line));
  if (at < 0) return "no number";
  const labels = reply.format === "number" ? (reply.labels ?? []) : [];
  const found = findScore(lines[at]!, labels, scale, sentenceToNumber);
  if (!found) return "no score on the line of the first number";
  const { label, score, rest } = found;
  const tail = readDenominator(withoutOwnScale(rest, scale), scale.max);
  if (sentenceToNumber.test(label)) {
    const problem = problemOfSentence(tail, lines.slice(at + 1), score, scale);
    if (problem !== undefined) return problem;
  }
  if (hasLabelledScore(label, tail ?? "", score, scale)) return "more than one score on a line";
  const mayBeListItem = label === "" && tail === rest && tail.trim() !== "" && !score.includes("."); // `1. The response`, `1 - Accuracy: 4`
  const isSentence = sentenceToNumber.test(label);
  if (
    tail === undefined ||
    (isSentence ? isDictated(tail) || /^\W*\d/.test(tail) || denial.test(tail) : !isHarmless(tail, mayBeListItem))
  )
    return "more than a score on the line of the first number";
  const later = lines.slice(at + 1).filter((line) => line.trim() !== "");
  const below = raw.slice(at + 1).filter((line) => line.trim() !== "");
  const [, other = scale.max] = scaleAfter.exec(rest) ?? scaleAfter.exec(later[0] ?? "") ?? [];
  if (Number(other) !== scale.max) return `a score on another scale, up to ${other}`;
  if (mayBeCut(finish) && later.length === 0)
    return finish === "length"
      ? "the reply ends on the line of its score" // 4 may be the beginning of 4.5
      : "the reply ends on the line of its score, in a way that may have cut it";
  const isAnother = (line: string, i: number) =>
    isOtherNumber(line, score) && (i === 0 || (headsScore.test(later[i - 1]!) && isOnScale(line, scale)));
  if (
    later.some(isAnother) ||
    later.some((line) => isOtherInChinese(line, score)) ||
    later.some((line) => contradicts(line, score, labels, scale, mayBeListItem))
  )
    return "more than one score";
  if ([tail, ...later].some((part) => isRevised(part, score, scale))) return "a score that is revised";
  if (isTakenBack(below) || later.some((line) => isDictatedBelow(line.slice(0, longestLine), score)))
    return "a score that is taken back";
  return onScale(score, scale);
}

/** The first number of a line, if the text before it, or `otherLabel`, shows that it is a score. */
function findScore(
  line: string,
  labels: readonly string[],
  { max }: Rubric["scale"],
  otherLabel?: RegExp,
): ScoreLine | undefined {
  const told = scaleBeforeColon.exec(line);
  const isBefore = told !== null && !/\d/.test(line.slice(0, told.index));
  if (isBefore && Number(told[1] ?? told[2]) !== max) return undefined; // on another scale
  const plain = (isBefore ? line.replace(scaleBeforeColon, ":") : line).trim();
  const [, label = "", score = "", rest = ""] = /^([^\d]*?)([-+−]?\d+(?:\.\d+)?)(.*)$/s.exec(plain) ?? [];
  const before = label.trim();
  return score !== "" && (isLabel(before, labels) || otherLabel?.test(before))
    ? { label: before, score, rest }
    : undefined;
}

/** A line without Markdown's marks and without tags: `<score>4</score>` is `score: 4`. */
function withoutMarkup(line: string): string {
  return withoutLineMarks(line)
    .replace(/<([a-z][a-z_ ]*)>/gi, " $1: ")
    .replace(/<\/[a-z][a-z_ ]*>/gi, " ")
    .replace(/(?<=\d)[*_`~]+(?=\d)/g, " ") // numbers separated only by these marks stay separate
    .replace(/[*_`~]/g, "")
    .replace(/\s{2,}/g, " ");
}

/** A line that announces another score, which stands alone below it: `### Final`, `Overall score:`. */
const headsScore =
  /^\W*(?:(?:my|the|final|revised|corrected|updated|new|overall)\b\W*){1,3}(?:score|rating|verdict|grade)?\W*$|^\W*(?:score|rating|verdict|grade)\W*$/i;

/** What a number would take: `To reach a score of 5`, `a perfect score of 5`. */
const toReach =
  /\b(?:to (?:reach|get|earn|achieve|receive|merit|deserve)|would have (?:received|gotten|earned|got)|short of|perfect|full|maximum|highest|top)\s+(?:(?:an?|the|of|score|rating|grade|perfect|full|marks?)\s*){0,5}$/i;

/** Whether the line after the score holds nothing but a different number, such as `2/5`. */
function isOtherNumber(line: string | undefined, score: string): boolean {
  const [, number] = /^[^\p{L}\d]*?([-+−]?\d+(?:\.\d+)?)(?:\s*\/\s*\d+)?[^\p{L}\d]*$/u.exec(line ?? "") ?? [];
  return number !== undefined && Number(number) !== Number(score);
}

/** Whether a line's number is on the scale. */
function isOnScale(line: string, { min, max }: Rubric["scale"]): boolean {
  const number = Number(/[-+−]?\d+(?:\.\d+)?/.exec(line)?.[0]?.replace("−", "-"));
  return number >= min && number <= max;
}

/** Whether a later line gives another score, or shows that the first number was the first item of a list. */
function contradicts(
  line: string,
  score: string,
  labels: readonly string[],
  scale: Rubric["scale"],
  mayBeListItem: boolean,
): boolean {
  const found = findScore(line, labels, scale);
  if (!found) return false;
  if (/^\s*%/.test(found.rest) || toReach.test(`${found.label} `)) return false;
  if (/^["'([]?$/.test(found.label))
    return mayBeListItem && Number(found.score) === Number(score) + 1 && /^\s*[-–—.:)]/.test(found.rest);
  return Number(found.score) !== Number(score);
}

/** The text after the number, without the scale that the rubric has: `(0 to 5)`. */
function withoutOwnScale(rest: string, { min, max }: Rubric["scale"]): string {
  const [whole, low, high] = /^\s*\((?:on a scale (?:of|from) )?(\d+)\s*(?:-|–|to)\s*(\d+)\)/i.exec(rest) ?? [];
  return whole !== undefined && Number(low) === min && Number(high) === max ? rest.slice(whole.length) : rest;
}

/** The text after the number, without `/5` or `out of 5`; undefined when it is out of another number than `max`. */
function readDenominator(rest: string, max: number): string | undefined {
  const units = String.raw`\s*(?:points?|stars?|pts|分)?`;
  const match = new RegExp(
    String.raw`^${units}\s*\(?\s*(?:\/|out of|of|von)\s*(\d+(?:\.\d+)?)${units}\s*\)?(?![\d/])`,
    "i",
  ).exec(rest);
  if (!match) return rest.replace(/^\s*(?:(?:points?|stars?|pts)\b|分)/i, "");
  return Number(match[1]) === max ? rest.slice(match[0].length) : undefined;
}

/** Whether the rest of the line is neither part of the score nor another score. */
function isHarmless(tail: string, mayBeListItem: boolean): boolean {
  if (/^(?:["')]|\]{1,2})?\s*[.,;:!]?\s*$/.test(tail)) return true;
  if (/^\W*\d/.test(tail) || denial.test(tail) || isDictated(tail)) return false; // `4-5`, `4, 5`, `4: 3 points`, `0 - I cannot rate this`
  if (reason.test(tail.trim())) return true;
  if (
    /^\s*[。，：；！、.,:;!]\s*[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]\D*$/u.test(
      tail,
    ) &&
    !/^\s*\W?\s*(?:不|也许|或|可能|应)/u.test(tail)
  )
    return true;
  const [, separator] = /^["')\]]?(?:\s*([-–—(])|([.,;:!])\s)/.exec(tail)?.map((part) => part ?? "") ?? [];
  if (separator === undefined || (/\d/.test(tail) || numberWord.test(tail) ? hedge : strongHedge).test(tail))
    return false;
  if (!mayBeListItem) return true;
  return !/^["')\]]?\.\s/.test(tail) && (!/\d/.test(tail) || /^["')\]]?[,;]\s/.test(tail));
}

function onScale(text: string, { min, max, step }: Rubric["scale"]): number | string {
  if (/^[-+−]?0\d/.test(text)) return "no score on the line of the first number";
  const score = Number(text.replace("−", "-"));
  if (!(score >= min && score <= max)) return `${text} is outside the scale from ${min} to ${max}`;
  if (step !== undefined && !isMultiple((score - min) / step)) return `${text} is not on the scale's steps of ${step}`;
  return score === 0 ? 0 : score; // -0 is 0
}

function isMultiple(ratio: number): boolean {
  return Math.abs(ratio - Math.round(ratio)) < 1e-9;
}

// --- an object ---

function readJson(text: string, finish: Finish, { scale, reply }: ReadingRubric): number | string {
  if (reply.format !== "json") return "the rubric does not ask for JSON";
  const fields = parseFields(text);
  if (!fields) return "no JSON object";
  if (!Object.hasOwn(fields, reply.score)) return `no field ${JSON.stringify(reply.score)}`;
  if (isRepeated(text, reply.score)) return `more than one field ${JSON.stringify(reply.score)}`;
  const score = fields[reply.score];
  if (typeof score === "number") return onScale(String(score), scale);
  if (typeof score === "string") return readNumber(score, mayBeCut(finish) ? "stop" : finish, { scale, reply });
  return `${JSON.stringify(reply.score)} is not a number`;
}
