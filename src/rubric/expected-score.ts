import type { Finish, TokenLogprob } from "../llm/reply.ts";
import type { Rating } from "../run/rating.ts";
import { locateScore, readScore, type ReadingRubric } from "./read-score.ts";
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

type Scale = ReadingRubric["scale"];

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
    const lead = isFirst ? token.slice(0, start - from) : "";
    for (const [other, otherLogprob] of top) {
      if (other === token) continue;
      const text = isFirst ? withoutLead(other, lead) : other;
      const value = text === undefined ? undefined : readBranch(prefix + text, scale, prefix);
      const probability = prefixProbability * Math.exp(otherLogprob);
      if (isFirst && text !== undefined && /^[-+−]?\d+$/.test(text))
        siblings.push({ digits: plainDigits(text), probability });
      else if (value !== undefined) {
        add(value, probability);
        if (!isFirst) addWay(value, probability);
      }
    }
    prefixProbability *= Math.exp(logprob);
    prefix += token.slice(Math.max(0, start - from), Math.min(token.length, end - from));
    if (/^[-+−]?\d+$/.test(prefix)) whole = Number(plainDigits(prefix));
  }
  if (!isEnded && at < end) return known;
  add(score, prefixProbability);
  addWay(score, prefixProbability);
  for (const [value, probability] of completeAlternatives(siblings, {
    score,
    prefixProbability,
    prefix,
    tokens,
    start,
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

interface Written {
  readonly score: number;
  readonly prefixProbability: number;
  /** The score as it was written. */
  readonly prefix: string;
  readonly tokens: readonly TokenLogprob[];
  readonly start: number;
  readonly ways: { readonly plain: number; readonly fraction: number; readonly fractions: number };
  readonly scale: Scale;
}

/** The scores that the alternative whole numbers stand for, and their probabilities. */
function* completeAlternatives(
  siblings: readonly Alternative[],
  written: Written,
): Generator<readonly [number, number]> {
  const { scale, ways, score, prefixProbability } = written;
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
      else yield [withFraction(number, mass, ways, scale, score), probability * share];
    }
  }
}

/** Scores and their probabilities, as far as they are known before alternatives are completed. */
type Mass = readonly (readonly [value: number, probability: number])[];

/**
 * The whole numbers of the scale that an alternative's digits may begin, the likeliest first where nothing else is known. Some tokenizers have
 * a token for each small number. Others have one for each digit; the number then gets as many digits as the written one, and the same. Where
 * that is above the scale it gets fewer (`9` in place of the `1` of 100 begins 90 to 99, and stands for their mean), and at the top of the scale
 * it may get one more: `1`, where `10` or `100` is possible.
 */
function wholeNumbers(digits: string, { prefix, tokens, start, scale }: Written): number[] {
  const value = Number(digits);
  const plain = plainDigits(prefix).split(".")[0]!.replace(/^[-+]/, "");
  const hasTokenOfSeveral = firstTokenTexts(tokens, start).some((text) => /^\d\d+$/.test(text));
  const isTop = (number: number) => isOnScale(number, scale) && number >= scale.max - 9;
  if (plain.length > 1 && !hasTokenOfSeveral && digits.length === 1) {
    const alike = Number(digits + plain.slice(1));
    const longer = value * 10 ** plain.length;
    const lengths = Array.from({ length: plain.length }, (_, i) => plain.length - i);
    const own = isOnScale(alike, scale)
      ? [alike]
      : lengths.flatMap((length) => meanBegunBy(value, length, scale) ?? []).slice(0, value === 0 ? 1 : plain.length);
    return value > 0 && isTop(longer) ? [...own, longer] : own;
  }
  const own = isOnScale(value, scale) ? [value] : [];
  const longer = value * 10;
  const mayBeLonger = !hasTokenOfSeveral && value > 0 && digits.length < String(scale.max).length;
  return mayBeLonger && isTop(longer) ? [...own, longer] : own;
}

/** The mean of the scores of a length that begin with a digit; undefined where the scale has none. */
function meanBegunBy(digit: number, length: number, scale: Scale): number | undefined {
  const [low, high] = [digit * 10 ** (length - 1), (digit + 1) * 10 ** (length - 1) - 1];
  const step = scale.step ?? 1;
  const first = scale.min + Math.max(0, Math.ceil((low - scale.min) / step - 1e-9)) * step;
  const last = scale.min + Math.floor((Math.min(high, scale.max) - scale.min) / step + 1e-9) * step;
  return first > last || (digit === 0 && length > 1) ? undefined : (first + last) / 2;
}

/** How likely each of the numbers is that an alternative may stand for: by their nearness to the other scores. */
function weighByNearness(numbers: readonly number[], mass: Mass, { min, max }: Scale): (readonly [number, number])[] {
  const unit = Math.max(1, (max - min) / 10);
  const [own] = numbers;
  const nearness = numbers.map((to) =>
    mass.reduce(
      (sum, [other, share]) => sum + (other === own ? 0 : share * Math.exp(-Math.abs(other - to) / unit)),
      1e-12,
    ),
  );
  const total = nearness.reduce((sum, one) => sum + one, 0);
  return numbers.map((number, i) => [number, nearness[i]! / total] as const);
}

/** The texts of the token that begins the score, and of its alternatives. */
function firstTokenTexts(tokens: readonly TokenLogprob[], start: number): string[] {
  let at = 0;
  for (const { token, top = [] } of tokens) {
    at += token.length;
    if (at > start) return [token, ...top.map(([text]) => text)].map((text) => plainCharacters(text).trim());
  }
  return [];
}

const leastVariance = 0.25; // of the whole numbers
const leastPlain = 0.02; // times the fraction's probability: tokens that were not returned may be this likely

/**
 * A whole number plus its expected fraction. How often the written number has a fraction is known. For other numbers the
 * odds are shifted as in a normal distribution: a fraction is likelier for numbers below the written one. A negative number goes on downwards.
 */
function withFraction(number: number, mass: Mass, ways: Written["ways"], { min, max }: Scale, score: number): number {
  if (!(ways.fraction > 0) || number >= max || (number < 0 && number <= min))
    return Math.max(min, Math.min(number, max));
  const total = mass.reduce((sum, [, share]) => sum + share, 0);
  const centre = mass.reduce((sum, [value, share]) => sum + Math.trunc(value) * share, 0) / total;
  const variance = mass.reduce((sum, [value, share]) => sum + share * (Math.trunc(value) - centre) ** 2, 0) / total;
  const step = ways.fractions / ways.fraction;
  const logit =
    Math.log(ways.fraction / Math.max(leastPlain * ways.fraction, ways.plain)) -
    (step * (Math.abs(number) - Math.abs(Math.trunc(score)))) / Math.max(leastVariance, variance);
  const fraction = step / (1 + Math.exp(-logit));
  return number < 0 ? Math.max(min, number - fraction) : Math.min(max, number + fraction);
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

/** A number in plain characters, whose minus JavaScript reads. */
function plainDigits(text: string): string {
  return plainCharacters(text).replace("−", "-");
}

function isWhole({ min, step }: Scale): boolean {
  return step !== undefined && Number.isInteger(step) && Number.isInteger(min);
}

function isOnScale(value: number, { min, max, step }: Scale): boolean {
  if (!(value >= min && value <= max)) return false;
  return step === undefined || Math.abs((value - min) / step - Math.round((value - min) / step)) < 1e-9;
}
