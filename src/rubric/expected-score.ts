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

interface Written {
  readonly score: number;
  readonly prefixProbability: number;
  /** The score as it was written, and the digits before its point. */
  readonly text: string;
  readonly plain: string;
  /** The texts that begin its digits: the token's and its alternatives'. */
  readonly heads: readonly string[];
  readonly ways: { readonly plain: number; readonly fraction: number; readonly fractions: number };
  readonly scale: Scale;
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

/** Scores and their probabilities, as far as they are known before alternatives are completed. */
type Mass = readonly (readonly [value: number, probability: number])[];

/**
 * The whole numbers of the scale that an alternative's digits may begin, the likeliest first where nothing else is known. Some tokenizers have
 * a token for each small number. Others have one for each digit; the number then goes on like the written one, to as many digits. Where that is
 * not on the scale it gets fewer (`9` in place of the `1` of 100 begins 90 to 99), and where the scale has
 * numbers of one digit more at its end it may get these: `1`, where `10` or `100` is possible.
 */
function wholeNumbers(said: string, { plain, heads, scale }: Written): number[] {
  const sign = said.startsWith("-") ? -1 : 1;
  const digits = said.replace(/^[-+]/, "");
  const value = Number(digits);
  const limit = sign > 0 ? scale.max : -scale.min;
  const meanOf = (low: number, high: number) =>
    sign > 0 ? meanBetween(low, high, scale) : negative(meanBetween(-high, -low, scale));
  const within = (low: number, high: number) =>
    (sign > 0 ? valuesBetween(low, high, scale) : valuesBetween(-high, -low, scale)).map((number) => sign * number);
  const wholeOf = (number: number) =>
    isOnScale(sign * number, scale) ? number : isWhole(scale) ? undefined : meanOf(number, number + 1 - tiny);
  const hasTokenOfSeveral = heads.some((text) => /^\d\d+$/.test(text));
  const own: (number | undefined)[] = [];
  if (value === 0) own.push(wholeOf(0)); // no number goes on after it
  else if (plain.length > digits.length && !hasTokenOfSeveral) {
    const alike = wholeOf(Number(digits + plain.slice(digits.length)));
    const lengths = Array.from(
      { length: plain.length - digits.length + 1 },
      (_, i) => plain.length - digits.length - i,
    );
    if (alike !== undefined) own.push(alike);
    else for (const more of lengths) own.push(...within(value * 10 ** more, (value + 1) * 10 ** more - 1));
    const longer = value * 10 ** plain.length;
    if (digits.length === 1 && longer >= limit - 9 && isOnScale(sign * longer, scale)) own.push(longer);
  } else {
    own.push(wholeOf(value));
    const isLast = plain.length === 1 && digits.length === 1 && String(Math.floor(limit)).length === 2;
    if (isLast && !hasTokenOfSeveral) own.push(...within(10 * value, 10 * value + 9));
  }
  return own.flatMap((number) => (number === undefined ? [] : [sign * number]));
}

const tiny = 1e-9;

function negative(value: number | undefined): number | undefined {
  return value === undefined ? undefined : -value;
}

const mostValues = 200;

/** The scores from `low` to `high`; of too many, their mean. */
function valuesBetween(low: number, high: number, scale: Scale): number[] {
  const { min, max, step = 1 } = scale;
  const first = Math.max(0, Math.ceil((low - min) / step - tiny));
  const count = Math.floor((Math.min(high, max) - min) / step + tiny) - first + 1;
  if (count > mostValues) return [meanBetween(low, high, scale)!];
  return Array.from({ length: Math.max(0, count) }, (_, i) => min + step * (first + i));
}

/** The mean of the scores from `low` to `high`; undefined where the scale has none there. */
function meanBetween(low: number, high: number, { min, max, step = 1 }: Scale): number | undefined {
  const first = Math.max(0, Math.ceil((low - min) / step - tiny));
  const last = Math.floor((Math.min(high, max) - min) / step + tiny);
  return first > last ? undefined : min + (step * (first + last)) / 2;
}

/** The mean of the scores that begin with a fraction's first digits, where they are none themselves: 1.25 for `1.2` in steps of a quarter. */
function meanOfFractions(said: string, scale: Scale): number | undefined {
  const [text, fraction] = /^[-+]?\d+\.(\d+)$/.exec(said) ?? [];
  if (text === undefined || scale.step === undefined) return undefined;
  const [value, width] = [Math.abs(Number(text)), 10 ** -fraction!.length - tiny];
  return text.startsWith("-") ? meanBetween(-value - width, -value, scale) : meanBetween(value, value + width, scale);
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

const leastVariance = 0.25; // of the whole numbers
const leastPlain = 0.02; // times the fraction's probability: tokens that were not returned may be this likely

/**
 * A whole number plus its expected fraction. How often the written number has a fraction is known. For other numbers the
 * odds are shifted as in a normal distribution: a fraction is likelier for numbers below the written one. A negative number goes on downwards.
 */
function withFraction(number: number, mass: Mass, { text, ways, score, scale: { min, max, step } }: Written): number {
  const isNegative = number < 0 || Object.is(number, -0);
  if (!Number.isInteger(number) || isNegative !== text.startsWith("-")) return number; // a mean; or not like the written score
  const end = isNegative ? min : max;
  if (number === end) return number;
  const sign = isNegative ? -1 : 1;
  if (!(ways.fraction > 0)) {
    if (score !== end || (!text.includes(".") && max - min > 1)) return number;
    // at the scale's end no fraction can be written; the others' are likelier the nearer they are
    const near = Array.from({ length: 10 }, (_, i) => number + (sign * i) / 10).filter((one) =>
      isOnScale(one, { min, max, step }),
    );
    const shares = near.map((one) => Math.exp((-10 * Math.abs(one - score)) / (max - min)));
    const all = shares.reduce((sum, share) => sum + share, 0);
    return near.length === 0 ? number : near.reduce((sum, one, i) => sum + (one * shares[i]!) / all, 0);
  }
  const total = mass.reduce((sum, [, share]) => sum + share, 0);
  const centre = mass.reduce((sum, [value, share]) => sum + Math.trunc(value) * share, 0) / total;
  const variance = mass.reduce((sum, [value, share]) => sum + share * (Math.trunc(value) - centre) ** 2, 0) / total;
  const part = ways.fractions / ways.fraction;
  const logit =
    Math.log(ways.fraction / Math.max(leastPlain * ways.fraction, ways.plain)) -
    (part * (Math.abs(number) - Math.abs(Math.trunc(score)))) / Math.max(leastVariance, variance);
  const fraction = part / (1 + Math.exp(-logit));
  return isNegative ? Math.max(min, number - fraction) : Math.min(max, number + fraction);
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
