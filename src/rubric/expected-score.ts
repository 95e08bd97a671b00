import type { Finish, TokenLogprob } from "../llm/reply.ts";
import type { Rating } from "../run/rating.ts";
import { locateScore, readScore, type ReadingRubric } from "./read-score.ts";
import { plainCharacters } from "./reply-text.ts";

/*
 * The score a judge is expected to give: the mean of the scores it could have written, each weighted by the probability of
 * its tokens, as G-Eval has it (Liu et al. 2023, section 2). A judge that writes 4 for most rows still says by these
 * weights which of them are nearly a 5.
 */

const mostMissing = 0.2; // of the probability; more than that on tokens that are no score, and the mean is of something else

/**
 * Reads a reply with the probabilities of its tokens.
 *
 * A score may be several tokens (`4`, `.`, `5`). At each of them, and at the one that comes after it, the tokens that were not
 * written stand for the numbers that they would have made. What follows them is told for the written score only, so that another
 * token is taken to go on as the written one does: to a number of as many digits, and where fractions are possible to one of the
 * same kind, more often the nearer that is to the other scores. A point whose fraction is not told stands for a half. What is no
 * number of the scale counts as missing, and is told; the mean is over what is known.
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
  if (!span) return { state: "unparsable", detail: "the token probabilities are not those of the reply" };
  const known = weighScores(logprobs, span, written.score, rubric.scale);
  let total = 0;
  let sum = 0;
  for (const [score, probability] of known) {
    total += probability;
    sum += score * probability;
  }
  const missing = Math.max(0, 1 - total);
  if (!(missing <= mostMissing))
    return {
      state: "unparsable",
      detail: `${(100 * missing).toFixed(0)} % of the probability is on tokens that are no score; at most ${100 * mostMissing} % may be`,
    };
  return { state: "scored", score: sum / total, written: written.score, missing };
}

type Scale = ReadingRubric["scale"];

/** What is known of the probability of each score. */
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
  const siblings: Sibling[] = []; // whole numbers in place of the one that was written
  let whole = NaN;
  /** What goes on from the written whole number: without a fraction, and with one. */
  const ways = { plain: 0, fraction: 0, fractions: 0 };
  const addWay = (value: number, probability: number) => {
    if (Math.floor(value) !== whole) return;
    if (value === whole) ways.plain += probability;
    else {
      ways.fraction += probability;
      ways.fractions += probability * (value - whole);
    }
  };
  let at = 0; // where the token begins
  let prefix = ""; // of the score, as far as it was written
  let path = 1; // the probability of that
  let isEnded = false;
  for (const { token, logprob, top = [] } of tokens) {
    const [from, to] = [at, at + token.length];
    at = to;
    if (to <= start) continue;
    if (from >= end) {
      let gone = 0;
      for (const [other, otherLogprob] of top) {
        if (other === token || !/^[\d.]/.test(other)) continue; // `10` for `1`, or 4 that may have become 4.5
        const value = readBranch(prefix + other, scale);
        if (value === score) continue; // a point that ends a sentence
        gone += Math.exp(otherLogprob);
        add(value, path * Math.exp(otherLogprob));
        if (value !== undefined) addWay(value, path * Math.exp(otherLogprob));
      }
      path *= 1 - Math.min(1, gone);
      isEnded = true;
      break;
    }
    const isFirst = prefix === "";
    const lead = isFirst ? token.slice(0, start - from) : "";
    for (const [other, otherLogprob] of top) {
      if (other === token) continue;
      const text = isFirst ? withoutLead(other, lead) : other;
      const value = text === undefined ? undefined : readBranch(prefix + text, scale, prefix);
      const probability = path * Math.exp(otherLogprob);
      if (value === undefined) continue;
      if (isFirst && /^[-+−]?\d+$/.test(text!)) siblings.push({ digits: plainCharacters(text!), value, probability });
      else {
        add(value, probability);
        if (!isFirst) addWay(value, probability);
      }
    }
    path *= Math.exp(logprob);
    prefix += token.slice(Math.max(0, start - from), Math.min(token.length, end - from));
    if (/^\d+$/.test(prefix)) whole = Number(prefix);
  }
  if (!isEnded && at < end) return known;
  add(score, path);
  addWay(score, path);
  for (const [value, probability] of complete(siblings, { score, path, prefix, tokens, start, ways, scale }))
    add(value, probability);
  return known;
}

/** A whole number in place of the one that was written, of which it is not told how it would have gone on. */
interface Sibling {
  readonly digits: string;
  readonly value: number;
  readonly probability: number;
}

interface Written {
  readonly score: number;
  readonly path: number;
  /** The score as it was written. */
  readonly prefix: string;
  readonly tokens: readonly TokenLogprob[];
  readonly start: number;
  readonly ways: { readonly plain: number; readonly fraction: number; readonly fractions: number };
  readonly scale: Scale;
}

/** What the whole numbers that were not written stand for. */
function* complete(siblings: readonly Sibling[], written: Written): Generator<readonly [number, number]> {
  const { scale, ways, score, path } = written;
  const mass = [...siblings.map(({ value, probability }) => [value, probability] as const), [score, path] as const];
  for (const { digits, probability } of siblings) {
    for (const [number, share] of wholeNumbers(digits, mass, written)) {
      if (isWhole(scale)) yield [number, probability * share];
      else yield [withFraction(number, mass, ways, scale, score), probability * share];
    }
  }
}

/**
 * The whole numbers that an alternative's digits may be the beginning of. Tokenizers have either a token for each small number, or
 * one for each digit; then the number has as many digits as the written one. Only at the upper end of the scale there may be one
 * more: `1`, where `10` is possible. Then the nearer one to the other scores is the likelier one.
 */
function wholeNumbers(
  digits: string,
  mass: readonly (readonly [value: number, probability: number])[],
  { prefix, tokens, start, scale }: Written,
): (readonly [number: number, share: number])[] {
  const value = Number(digits);
  const plain = plainCharacters(prefix).split(".")[0]!.replace(/^[-+]/, "");
  const top = firstToken(tokens, start);
  const hasTokenOfSeveral = top.some((text) => /^\d\d+$/.test(text));
  const isByDigit = plain.length > 1 && !hasTokenOfSeveral;
  if (isByDigit && digits.length === 1) {
    const longer = Number(digits + plain.slice(1));
    return longer <= scale.max ? [[longer, 1]] : value <= scale.max ? [[value, 1]] : [];
  }
  const longer = value * 10;
  if (
    hasTokenOfSeveral ||
    value <= 0 ||
    longer > scale.max ||
    longer < scale.max - 9 ||
    digits.length >= String(scale.max).length
  )
    return [[value, 1]];
  const nearness = (to: number) =>
    mass.reduce((sum, [other, share]) => sum + (other === value ? 0 : share * Math.exp(-Math.abs(other - to))), 1e-12);
  const [own, further] = [nearness(value), nearness(longer)];
  return [
    [value, own / (own + further)],
    [longer, further / (own + further)],
  ];
}

/** The texts that were possible where the score begins. */
function firstToken(tokens: readonly TokenLogprob[], start: number): string[] {
  let at = 0;
  for (const { token, top = [] } of tokens) {
    at += token.length;
    if (at > start) return [token, ...top.map(([text]) => text)].map((text) => plainCharacters(text).trim());
  }
  return [];
}

const leastVariance = 0.25; // of the whole numbers
const leastPlain = 0.02; // times the fraction's: what was not told may be so likely

/**
 * A whole number with the fraction that it would have had on average. How often the written one has a fraction is told; another
 * number's is nearer to the other scores the more of them lie above it, as in a normal distribution.
 */
function withFraction(
  number: number,
  mass: readonly (readonly [value: number, probability: number])[],
  ways: Written["ways"],
  { max }: Scale,
  score: number,
): number {
  if (!(ways.fraction > 0) || number >= max) return Math.min(number, max);
  const total = mass.reduce((sum, [, share]) => sum + share, 0);
  const centre = mass.reduce((sum, [value, share]) => sum + Math.floor(value) * share, 0) / total;
  const variance = mass.reduce((sum, [value, share]) => sum + share * (Math.floor(value) - centre) ** 2, 0) / total;
  const step = ways.fractions / ways.fraction;
  const logit =
    Math.log(ways.fraction / Math.max(leastPlain * ways.fraction, ways.plain)) -
    (step * (number - Math.floor(score))) / Math.max(leastVariance, variance);
  return Math.min(max, number + step / (1 + Math.exp(-logit)));
}

/** What another token has of the score: it may lack the space or the quote that stood before it, or have another one. */
function withoutLead(token: string, lead: string): string | undefined {
  const text = plainCharacters(lead !== "" && token.startsWith(lead) ? token.slice(lead.length) : token);
  return /^[\s"'*_`([]*(.*)$/s.exec(text)?.[1];
}

/**
 * The score that a text begins with, where another token was taken than the one that was written.
 *
 * @param prefix what the written score has of it
 */
function readBranch(text: string, scale: Scale, prefix?: string): number | undefined {
  const plain = plainCharacters(text).replace("−", "-");
  const [digits] = /^[-+]?\d+(?:\.\d+)?/.exec(plain) ?? [];
  if (digits === undefined) return undefined;
  const rest = plain.slice(digits.length);
  const value = Number(digits);
  if (rest === "." && digits !== prefix && !isWhole(scale)) {
    const half = value + (value < 0 ? -0.5 : 0.5); // a fraction follows, and nobody knows which
    return isOnScale(half, { ...scale, step: undefined }) ? half : isOnScale(value, scale) ? value : undefined;
  }
  return isOnScale(value, scale) ? value : undefined;
}

function isWhole({ min, step }: Scale): boolean {
  return step !== undefined && Number.isInteger(step) && Number.isInteger(min);
}

function isOnScale(value: number, { min, max, step }: Scale): boolean {
  if (!(value >= min && value <= max)) return false;
  return step === undefined || Math.abs((value - min) / step - Math.round((value - min) / step)) < 1e-9;
}

/**
 * The mean of several replies to the same question, for judges that tell no probabilities. Most of them must have a score;
 * otherwise it is what most of the others are.
 */
export function meanOfReplies(ratings: readonly Rating[]): Rating {
  const scores = ratings.map((rating) => (rating.state === "scored" ? rating.score : null));
  const scored = scores.filter((score) => score !== null);
  const [first] = ratings;
  const pending = ratings.find(({ state }) => state === "pending");
  if (pending) return pending;
  if (scored.length * 2 <= ratings.length) {
    const others = ratings.filter((rating) => rating.state !== "scored");
    const [most] = [...Map.groupBy(others, ({ state }) => state).values()].toSorted((a, b) => b.length - a.length);
    const { state, detail } = most![0]!;
    return {
      state,
      detail: `${scored.length} of ${ratings.length} replies have a score${detail === undefined ? "" : `; ${detail}`}`,
    };
  }
  return {
    state: "scored",
    score: scored.reduce((sum, score) => sum + score, 0) / scored.length,
    ...(first?.state === "scored" && { written: first.score }),
    replies: scores,
  };
}
