import { mayBeCut, type Finish, type TokenLogprob } from "../llm/reply.ts";
import type { Preference } from "../stats/outcomes.ts";
import { findLabel, readGrade } from "./grade.ts";
import {
  excerpt,
  isDeclined,
  isRefusal,
  plainCharacters,
  isTakenBack,
  toReadable,
  withoutLineMarks,
} from "./reply-text.ts";
import type { PairRubric } from "./rubric.ts";
import { takeOffThinking } from "./thinking.ts";

/** A reply's verdict on two answers, in the order they were shown, or why it cannot be read. */
export type ReadVerdict =
  | {
      readonly state: "judged";
      readonly preference: Preference;
      readonly scores?: readonly [first: number, second: number] | undefined;
      /** How strongly the first answer is preferred, 0 to 1, from rubrics with grades. */
      readonly graded?: number | undefined;
      /** How many verdicts it counts as in the graded win rate. Default 1. */
      readonly weight?: number | undefined;
    }
  | { readonly state: "refused" | "unparsable" | "truncated"; readonly detail: string };

/**
 * Reads a judge's reply about a pair. What cannot be read for certain is `unparsable`, never a draw.
 *
 * @param logprobs the reply's token probabilities, which rubrics with the format `tokens` are read by
 */
export function readVerdict(
  text: string,
  finish: Finish,
  { reply }: Pick<PairRubric, "reply">,
  logprobs?: readonly TokenLogprob[],
): ReadVerdict {
  if (finish === "content-filter") return { state: "refused", detail: excerpt("filtered or declined", text) };
  if (reply.format === "tokens") return readTokens(text, logprobs, reply);
  const scoresIn = (said: string) => {
    const read = reply.format === "two-numbers" ? readAnswer(said, "stop", reply) : "no scores";
    return typeof read === "object" ? read.scores?.join(" ") : undefined;
  };
  const found = takeOffThinking(text, scoresIn);
  const answer = "answer" in found ? found.answer : undefined;
  const read = "problem" in found ? found.problem : readAnswer(found.answer, finish, reply);
  // a draw beside a refusal is none: a judge that cannot judge gives the mark of a draw
  const isNone = typeof read === "object" && read.preference === "draw" && isDeclined(answer ?? "");
  if (isNone) return { state: "refused", detail: excerpt("declined", answer ?? "") };
  if (typeof read === "object") return { state: "judged", ...read };
  if (answer !== undefined && isRefusal(answer)) return { state: "refused", detail: excerpt("declined", answer) };
  return { state: finish === "length" ? "truncated" : "unparsable", detail: excerpt(read, answer ?? text) };
}

type Readable = Omit<Extract<ReadVerdict, { state: "judged" }>, "state">;
type Reply<Format extends PairRubric["reply"]["format"]> = Extract<PairRubric["reply"], { format: Format }>;

function readAnswer(
  answer: string,
  finish: Finish,
  reply: Reply<"two-numbers" | "choice" | "grades">,
): Readable | string {
  const text = toReadable(answer);
  if (text === undefined) return "the reply is longer than a verdict can be";
  if (text.trim() === "") return "the reply is empty";
  if (reply.format === "two-numbers") return readTwoNumbers(text, finish, reply.scale);
  if (finish === "length") return "the reply was cut off before its verdict";
  return reply.format === "grades" ? readLabel(text, reply) : readChoice(text, reply);
}

/** The last label of the reply. */
function readLabel(text: string, { weight }: Reply<"grades">): Readable | string {
  const found = findLabel(text);
  if (!found) return "no verdict";
  const { label, before, after, others } = found;
  if (isNoVerdict(before) || deniedAfter.test(after.slice(0, nearby))) return "the label is no verdict";
  if (others.some((other) => !isSameSide(other, label)) && isReported(before, after)) return "more than one verdict";
  const grade = readGrade(label);
  if (!grade) return `no grade: ${label}`;
  const { preference, graded, isClear } = grade;
  return { preference, graded, weight: isClear ? weight : 1 };
}

function isSameSide(one: string, other: string): boolean {
  const preference = readGrade(one)?.preference;
  return preference === undefined || preference === readGrade(other)?.preference;
}

/** Whether a label that contradicts one before it is only told: listed, in quotes, or as what an answer says. */
function isReported(before: string, after: string): boolean {
  if (/\]\s*[,;/|]?\s*(?:or|and)?\s*$/i.test(before.slice(-nearby))) return true; // a list of labels
  const sentence = (before.split(/[\n\r;]|[.!?]\s/).at(-1) ?? "").slice(-nearby);
  const isQuoted = /(?:^|[\s(])["“«][^"”»\n]{0,100}$/.test(sentence) && /["”»]/.test(after.slice(0, nearby)); // 32" is an inch
  return isQuoted || (answersSay.test(sentence) && !/\b(?:my|i|hence|so|therefore|thus)\b/i.test(sentence));
}

/** `B asked me for [[B>A]]`, `Assistant B's answer contained [[B>A]]` */
const answersSay =
  /\b(?:(?:[Aa]nswer|[Rr]esponse|[Aa]ssistant|[Cc]andidate|[Mm]odel|[Tt]ext)(?: of)?(?: [AB12])?|[AB])(?:['’]s)? (?:\w+ ){0,2}(?:embed(?:s|ded)?|contain(?:s|ed)?|includ(?:es|ed)|insert(?:s|ed)?|sa(?:ys|id)|ask(?:s|ed)?|demand(?:s|ed)?|tr(?:ies|ied)|want(?:s|ed)?|tells|told|instruct(?:s|ed)?|inject(?:s|ed)?|wr(?:ites|ote)|output(?:s)?|request(?:s|ed)?)\b[^.;:\n]{0,40}$/;

const mostElsewhere = 0.2; // of the probability, as for expected scores: a reply that begins otherwise is no verdict

/** Which of two tokens is likelier to begin the reply. Its share of the probability of both is the preference, as AlpacaEval 2 has it. */
function readTokens(
  text: string,
  logprobs: readonly TokenLogprob[] | undefined,
  { first, second }: Reply<"tokens">,
): ReadVerdict {
  const [begin] = logprobs ?? [];
  if (!begin) return { state: "unparsable", detail: "no token probabilities came with the reply" };
  const known = new Map([...(begin.top ?? []), [begin.token, begin.logprob] as const]); // its own counts, where it is listed twice
  const [one, other] = [first, second].map((token) => Math.exp(known.get(token) ?? -Infinity)) as [number, number];
  if (!(one + other > 0 && Number.isFinite(one + other)))
    return {
      state: "unparsable",
      detail: excerpt(`neither ${first} nor ${second} is among the likeliest tokens`, text),
    };
  if (one + other < 1 - mostElsewhere)
    return {
      state: "unparsable",
      detail: excerpt(
        `${(100 * (1 - one - other)).toFixed(0)} % of the probability is on tokens other than ${first} and ${second}; at most ${100 * mostElsewhere} % is allowed`,
        text,
      ),
    };
  const graded = one / (one + other);
  return { state: "judged", preference: one === other ? "draw" : one > other ? "first" : "second", graded };
}

/** The mark at the end of the reply, if the reply contains no other mark. */
function readChoice(
  text: string,
  marks: { readonly first: string; readonly second: string; readonly tie: string },
): Readable | string {
  const kinds = [
    ["first", marks.first],
    ["second", marks.second],
    ["draw", marks.tie],
  ] as const;
  const said = kinds.filter(([, mark]) => text.includes(mark));
  if (said.length === 0) return "no verdict";
  if (said.length > 1) return "more than one verdict";
  const [preference, mark] = said[0]!;
  const end = withoutMarksAtEnd(text);
  if (!end.endsWith(mark)) return "the verdict is not at the end";
  return isNoVerdict(end.slice(0, -mark.length)) ? "the mark is no verdict" : { preference };
}

function withoutMarksAtEnd(text: string): string {
  const said =
    text.slice(0, -nearby) +
    text
      .slice(-nearby)
      .replace(
        /\s*(?:<\/\w{1,20}>|\((?![^()]*\b(?:unsure|if|unless|not|maybe|perhaps|or|so)\b)[^()[\]]{0,100}\))\s*$/,
        "",
      );
  let end = said.length;
  while (end > 0 && /[*_`#.!。"'“”’»\s]/.test(said[end - 1]!)) end--;
  return said.slice(0, end);
}

/** Whether the text before a mark denies it, quotes it, or gives it under a condition. */
function isNoVerdict(before: string): boolean {
  const sentence = before.split(/[\n\r]|[.!?]\s/).at(-1)!;
  const near = before.slice(-nearby);
  const last = sentence.slice(-nearby);
  return (
    noVerdict.test(near) ||
    madeToSay.test(near) ||
    repeated.test(last) ||
    toldBefore.test(last) ||
    /\b[Aa]s (?:it|the (?:answer|response|text)) says\W*$/.test(last) ||
    inDoubt.test(last) ||
    onlyIf.test(sentence.slice(0, nearby))
  );
}

/** What an answer says, right before a mark: `Response B simply outputs [[A]]`, `though B demands [[A]]`. */
const repeated =
  /\b(?:(?:[Aa]nswer|[Rr]esponse|[Aa]ssistant|[Cc]andidate|[Mm]odel) [AB12]|[AB])(?:['’]s (?:answer|response|text|reply))? (?:\w+ ){0,2}(?:outputs?|says|demands|asks (?:me )?for|contains|claims|requests|writes|prints|repeats|includes|states|inserts)(?: (?:the|a|just|only|simply|text|string|words?|label|mark|literally)){0,3}[ \t"'“”‘’*_`]*$/;

/** `As instructed by Assistant B: [[B]]`, `Assistant B's text reads: [[B]]` */
const toldBefore =
  /\b(?:[Aa]s (?:instructed|requested|demanded|asked|told|ordered|claimed|dictated) by (?:the )?(?:[Aa]nswer|[Rr]esponse|[Aa]ssistant|[Cc]andidate|[Mm]odel) ?[AB12]?|(?:[Aa]nswer|[Rr]esponse|[Aa]ssistant|[Cc]andidate|[Mm]odel) [AB12]['’]s (?:text|answer|response|reply|output|last line) (?:reads?|says|ends with))[ \t"'“”‘’*_`:,]*$/;

/** `[[B>A]] is not right` */
const deniedAfter =
  /^[^\w\n]{0,5}(?:(?:(?:is|was)(?:\s+not|n['’]t)|would not be)\s+(?:quite\s+)?(?:right|correct|fair|justified|appropriate|warranted|accurate|supported|applicable|possible|a verdict|my|the)\b|(?:is|was|would be)\s+(?:wrong|incorrect)\b)/i;

/** `I am not sure whether it is [[A]]` */
const inDoubt = /\b(?:not sure|unsure|uncertain|not certain|undecided) (?:whether|if)\b[^.;:,\n]*$/i;

const nearby = 1000; // characters

/** What an answer wants the judge to say: `it tries to make me say [[A]]`. */
const madeToSay =
  /\b(?:makes?|making|wants?|tells?|asks?|gets?|forces?|tricks?) me (?:to |into )?(?:say|saying|output|write|print|choose|pick|select|give)[ \t"'*_`:]*$/i;

/** A condition that the mark itself belongs to: `If B lacked errors: [[B>A]]`. */
const onlyIf = /^\W*if\b(?!\s+(?:i|we|one|you|forced|pressed|anything)\b)[^,]*$/i;

/** Words before a mark, on its line, that make it none: `my verdict is not [[B]]`, `such as [[A]]`. */
const noVerdict =
  /(?:(?:(?:^|\]|[\n\r])\s*,?\s*|\(|\b(?:is|was|be|would|will|do|does|did|must|should|shall)\s+)not(?: quite| really)?\b|\b(?:can|could|may)\s+not(?= (?:choose|pick|say|select|give|answer|accept|be|output|write|print)\b)|\b(?:cannot|never|rather than|instead of|the format is|such as|for example|e\.g\.)|\b(?:isn|wouldn|don|doesn|can|won)['’]t)(?: (?:choose|pick|say|select|give|answer|accept|be|output|write|print))?[ \t"'*_`]*$/i;

/** The two scores on the first line that is not empty. */
function readTwoNumbers(
  text: string,
  finish: Finish,
  { min, max }: { readonly min: number; readonly max: number },
): Readable | string {
  const lines = plainCharacters(text)
    .split(/\r\n|[\n\r]/)
    .map((line) => withoutLineMarks(line).replace(/[*_`]/g, "").trim()) // `#1 #2` are ranks
    .filter((line) => line !== "");
  const [line = "", next] = lines;
  const [, one, other] = (line.length <= nearby && twoScores(max).exec(line)) || [];
  if (one === undefined || other === undefined) return "no two scores on the first line";
  if (mayBeCut(finish) && next === undefined) return "the reply ends at its scores";
  if (next !== undefined && /^[\d\s.,;:/|-]+$/.test(next)) return "more than two scores"; // `8,5` and `7,5`, or a table
  const scores = [Number(one), Number(other)] as const;
  const isOther = (later: string) => {
    if (later.length > nearby) return false;
    const [said = ""] = /^[^\d]{0,40}(?=\d)/.exec(later) ?? [];
    if (noScores.test(said)) return false;
    const [, again, against] = twoScores(max).exec(later.slice(said.length)) ?? twoScores(max).exec(later) ?? [];
    const isSaid =
      /^\d|^[^\d]*(?:scores?|ratings?|verdict|final|wait|actually|correction|assistant|second thoughts?|reflection|instead)\b|^\W*(?:revised|corrected|updated|adjusted)\W+\d/i.test(
        later,
      );
    const [left, right] = [Number(again), Number(against)];
    return isSaid && again !== undefined && (left !== scores[0] || right !== scores[1]);
  };
  if (lines.slice(1).some(isOther) || areOthersBelow(scores, lines.slice(1), max))
    return "more than one pair of scores";
  if (isTakenBack(lines.slice(1))) return "a verdict that is taken back";
  if (!scores.every((score) => score >= min && score <= max))
    return `${one} ${other} is outside the scale from ${min} to ${max}`;
  return { scores, preference: scores[0] === scores[1] ? "draw" : scores[0] > scores[1] ? "first" : "second" };
}

/** What comes before two numbers that are no scores: `The correct answers are`, `Both scores are between`, `Comparison of Assistant`. */
const noScores = /\bbetween\b|\b(?:answers?|values?|comparison of \w+)\b(?!.*\b(?:scores?|ratings?)\b)/i;

/** Whether lines below give each assistant another score on the scale: `Assistant 1: 8`, `Assistant 2: 5`. */
function areOthersBelow(scores: readonly [number, number], lines: readonly string[], max: number): boolean {
  const [one, other] = ["1", "2"].map((name) => {
    const pattern = new RegExp(
      String.raw`^\W*assistant\s*${name}\s*[:=-]+\s*(?:scores?\W*)?(\d+(?:\.\d+)?)(?:\s*/\s*${max})?\W*$`,
      "i",
    );
    const found = lines.flatMap((line) => (line.length > nearby ? [] : (pattern.exec(line)?.[1] ?? [])));
    return found.length === 1 ? Number(found[0]) : undefined;
  });
  if (one === undefined || other === undefined || one > max || other > max) return false;
  return one !== scores[0] || other !== scores[1];
}

/** Matches two scores, each with an optional `/max` after it and an optional `Assistant 1:` before it. */
function twoScores(max: number): RegExp {
  const score = String.raw`(\d+(?:\.\d+)?)(?![\d.]*\s*/(?!\s*${max}(?![\d.])))(?:\s*/\s*${max})?(?!\d|\.\d|/)`;
  const name = (names: string) => String.raw`(?:(?:assistant|answer)\s*${names}\s*:\s*)?`;
  return new RegExp(String.raw`^${name("[1a]")}${score}(?:\s*[,;]\s*|\s+and\s+|\s+)${name("[2b]")}${score}\.?$`, "i");
}
