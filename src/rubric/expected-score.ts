import type { Finish, TokenLogprob } from "../llm/reply.ts";
import type { Rating } from "../run/rating.ts";
import { locateScore, readScore, type ReadingRubric } from "./read-score.ts";
import {
  isOnScale,
  isWhole,
  meanOfFractions,
  plainDigits,
  weighByNearness,
  wholeNumbers,
  withFraction,
  type Mass,
  type Scale,
  type Written,
} from "./alternative-scores.ts";
import { plainCharacters } from "./reply-text.ts";

/*
 * The expected score: the mean of the scores a judge could have written, each weighted by the probability of its tokens, as
 * in G-Eval (Liu et al. 2023, section 2). Where a judge writes 4 for most rows, the weights still show which of them are
 * nearly a 5.
 */

const mostMissing = 0.2; // of the probability; with more on tokens that are no score, the mean is not a mean of scores

/**
 * The same where the reply is JSON by a schema. At the score's place the schema allows numbers alone, so the other tokens had no
 * chance; llama.cpp nevertheless reports their probabilities as they are without the schema. The rest is what it chose from.
 */
const mostMissingBySchema = 0.95;

/**
 * Reads the expected score of a reply from its token probabilities.
 *
 * A score may span several tokens (`4`, `.`, `5`). At each of them, and at the token after the score, the alternative tokens
 * stand for the numbers that they would have begun. The API returns how the written score goes on, but not how an
 * alternative would have. So an alternative is assumed to go on like the written score: to as many digits (see
 * `wholeNumbers`) and, if the scale has fractions, to a similar fraction (see `withFraction`). A decimal point without a
 * known fraction stands for a half. Probability that is on no score of the scale, or was not returned, is `missing`; the
 * mean is over the rest.
 */
export function readExpectedScore(
  text: string,
  finish: Finish,
  logprobs: readonly TokenLogprob[] | undefined,
  rubric: ReadingRubric,
): Rating {
  const written = readScore(text, finish, rubric);
  if (written.state !== "scored") return written;
  if (!logprobs) return { state: "unparsable", detail: "no token probabilities came with the reply" };
  const spoken = logprobs.map(({ token }) => token).join("");
  const span = locateScore(spoken, written.score, rubric);
  if (!span) return { state: "unparsable", detail: "the token probabilities do not match the reply" };
  const known = weighScores(logprobs, span, written.score, rubric.scale);
  let total = 0;
  let sum = 0;
  for (const [score, probability] of known) {
    total += probability;
    sum += score * probability;
  }
  const missing = Math.max(0, 1 - total);
  const most = rubric.reply.format === "json" ? mostMissingBySchema : mostMissing;
  if (!(missing <= most) || !Number.isFinite(sum / total))
    return {
      state: "unparsable",
      detail: `${(100 * missing).toFixed(0)} % of the probability is on tokens that are not a score; at most ${100 * most} % is allowed`,
    };
  return { state: "scored", score: sum / total, written: written.score, missing };
}

/** The probability of each score, as far as it is known. */
function weighScores(
  tokens: readonly TokenLogprob[],
  [start, end]: readonly [start: number, end: number],
  score: number,
  scale: Scale,
): Map<number, number> {
  const known = new Map<number, number>();
  const add = (value: number | undefined, probability: number) => {
    if (value !== undefined) known.set(value, (known.get(value) ?? 0) + probability);
  };
  const siblings: Alternative[] = []; // alternatives to the written whole number
  let heads: string[] = []; // the texts that begin it: the token's and its alternatives'
  const writtenText = plainDigits(
    tokens
      .map(({ token }) => token)
      .join("")
      .slice(start, end),
  );
  const plain = /^[-+]?(\d+)/.exec(writtenText)?.[1] ?? "";
  let whole = NaN;
  /** How the written whole number goes on: the probability of no fraction, of any, and the sum of fractions by probability. */
  const ways = { plain: 0, fraction: 0, fractions: 0 };
  const addWay = (value: number, probability: number) => {
    if (Math.trunc(value) !== whole) return;
    if (value === whole) ways.plain += probability;
    else {
      ways.fraction += probability;
      ways.fractions += probability * Math.abs(value - whole);
    }
  };
  let at = 0; // where the token begins
  let prefix = ""; // the part of the written score before this token
  let prefixProbability = 1; // the probability of that part
  let isEnded = false;
  for (const { token, logprob, top = [] } of tokens) {
    const [from, to] = [at, at + token.length];
    at = to;
    if (to <= start) continue;
    if (from >= end) {
      let gone = 0;
      for (const [other, otherLogprob] of top) {
        if (other === token || !/^[\d.]/.test(other)) continue; // only `10` for `1`, or 4 that could have become 4.5
        const value = readBranch(prefix + other, scale);
        if (value === score) continue; // a point that ends a sentence
        gone += Math.exp(otherLogprob);
        add(value, prefixProbability * Math.exp(otherLogprob));
        if (value !== undefined) addWay(value, prefixProbability * Math.exp(otherLogprob));
      }
      prefixProbability *= 1 - Math.min(1, gone);
      isEnded = true;
      break;
    }
    const isFirst = prefix === "";
    const isHead = /^[-+−]?$/.test(prefix);
    const lead = isFirst ? token.slice(0, start - from) : "";
    const part = token.slice(Math.max(0, start - from), Math.min(token.length, end - from));
    if (isHead && /\d/.test(part))
      heads = [part, ...top.map(([other]) => other)].map((text) => plainDigits(text).trim().replace(/^[-+]/, ""));
    for (const [other, otherLogprob] of top) {
      if (other === token) continue;
      const text = isFirst ? withoutLead(other, lead) : other;
      if (text === undefined) continue;
      const probability = prefixProbability * Math.exp(otherLogprob);
      const said = plainDigits(prefix + text);
      if (/^[-+]?\d+$/.test(said)) {
        siblings.push({ digits: said, probability });
        continue;
      }
      const value = readBranch(said, scale, prefix) ?? meanOfFractions(said, scale);
      add(value, probability);
      if (!isHead && value !== undefined) addWay(value, probability);
    }
    prefixProbability *= Math.exp(logprob);
    prefix += part;
    if (/^[-+−]?\d+$/.test(prefix)) whole = Number(plainDigits(prefix));
  }
  if (!isEnded && at < end) return known;
  add(score, prefixProbability);
  addWay(score, prefixProbability);
  for (const [value, probability] of completeAlternatives(siblings, {
    score,
    prefixProbability,
    text: writtenText,
    plain,
    heads,
    ways,
    scale,
  }))
    add(value, probability);
  return known;
}

/** An alternative to the written whole number. How it would have gone on is not known. */
interface Alternative {
  readonly digits: string;
  readonly probability: number;
}

/** The scores that the alternative whole numbers stand for, and their probabilities. */
function* completeAlternatives(
  siblings: readonly Alternative[],
  written: Written,
): Generator<readonly [number, number]> {
  const { scale, score, prefixProbability } = written;
  const each = siblings.map(({ digits, probability }) => ({ probability, numbers: wholeNumbers(digits, written) }));
  const mass: Mass = [
    ...each.flatMap(({ numbers: [first], probability }) =>
      first === undefined ? [] : [[first, probability] as const],
    ),
    [score, prefixProbability],
  ];
  for (const { numbers, probability } of each) {
    for (const [number, share] of weighByNearness(numbers, mass, scale)) {
      if (isWhole(scale)) yield [number, probability * share];
      else yield [withFraction(number, mass, written), probability * share];
    }
  }
}

/** The score's part of an alternative token, which may lack the written one's leading space or quote, or have another. */
function withoutLead(token: string, lead: string): string | undefined {
  const text = plainCharacters(lead !== "" && token.startsWith(lead) ? token.slice(lead.length) : token);
  return /^[\s"'*_`([]*(.*)$/s.exec(text)?.[1];
}

/**
 * The score at the beginning of a text that ends with an alternative token.
 *
 * @param prefix the part of it that the written score has too
 */
function readBranch(text: string, scale: Scale, prefix?: string): number | undefined {
  const plain = plainCharacters(text).replace("−", "-");
  const [digits] = /^[-+]?\d+(?:\.\d+)?/.exec(plain) ?? [];
  if (digits === undefined) return undefined;
  const rest = plain.slice(digits.length);
  const value = Number(digits);
  if (rest === "." && digits !== prefix && !isWhole(scale)) {
    const half = value + (value < 0 ? -0.5 : 0.5); // an unknown fraction follows
    return isOnScale(half, { ...scale, step: undefined }) ? half : isOnScale(value, scale) ? value : undefined;
  }
  return isOnScale(value, scale) ? value : undefined;
}
