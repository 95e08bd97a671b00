import type { ReadingRubric } from "./read-score.ts";
import { plainCharacters } from "./reply-text.ts";

/*
 * What the digits of an alternative token stand for, which would have gone on in a way that is not known.
 */

export type Scale = ReadingRubric["scale"];

/** The score that was written, and what is known of its tokens. */
export interface Written {
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

/** Scores and their probabilities, as far as they are known before alternatives are completed. */
export type Mass = readonly (readonly [value: number, probability: number])[];

/**
 * The whole numbers of the scale that an alternative's digits may begin, the likeliest first where nothing else is known. Some tokenizers have
 * a token for each small number. Others have one for each digit; the number then goes on like the written one, to as many digits. Where that is
 * not on the scale it gets fewer (`9` in place of the `1` of 100 begins 90 to 99), and where the scale has
 * numbers of one digit more at its end it may get these: `1`, where `10` or `100` is possible.
 */
export function wholeNumbers(said: string, { plain, heads, scale }: Written): number[] {
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
export function meanOfFractions(said: string, scale: Scale): number | undefined {
  const [text, fraction] = /^[-+]?\d+\.(\d+)$/.exec(said) ?? [];
  if (text === undefined || scale.step === undefined) return undefined;
  const [value, width] = [Math.abs(Number(text)), 10 ** -fraction!.length - tiny];
  return text.startsWith("-") ? meanBetween(-value - width, -value, scale) : meanBetween(value, value + width, scale);
}

/** How likely each of the numbers is that an alternative may stand for: by their nearness to the other scores. */
export function weighByNearness(
  numbers: readonly number[],
  mass: Mass,
  { min, max }: Scale,
): (readonly [number, number])[] {
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
export function withFraction(
  number: number,
  mass: Mass,
  { text, ways, score, scale: { min, max, step } }: Written,
): number {
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

/** A number in plain characters, whose minus JavaScript reads. */
export function plainDigits(text: string): string {
  return plainCharacters(text).replace("−", "-");
}

export function isWhole({ min, step }: Scale): boolean {
  return step !== undefined && Number.isInteger(step) && Number.isInteger(min);
}

export function isOnScale(value: number, { min, max, step }: Scale): boolean {
  if (!(value >= min && value <= max)) return false;
  return step === undefined || Math.abs((value - min) / step - Math.round((value - min) / step)) < 1e-9;
}
