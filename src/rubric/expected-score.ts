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
 * written stand for the number that they would have made. Where fractions are possible, another whole number is taken to go
 * on as the written one does (4.5 written with `.5` at .6: a 3 in its place is worth 3.3). What is no number of the scale, or
 * could have gone on to become another one (`1` where 10 is possible), counts as missing. The mean is over what is known.
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
  const siblings: [whole: number, probability: number][] = []; // in place of the score's whole part
  let [whole, wholeSum, wholeTotal] = [NaN, 0, 0]; // of what goes on from the written whole part: the mean of its fractions
  let at = 0; // where the token begins
  let prefix = ""; // of the score, as far as it was written
  let path = 1; // the probability of that
  for (const { token, logprob, top = [] } of tokens) {
    const [from, to] = [at, at + token.length];
    at = to;
    if (to <= start) continue;
    if (from >= end) {
      let gone = 0;
      for (const [other, otherLogprob] of top) {
        if (other === token || !/^[\d.]/.test(other)) continue; // `10` for `1`, or 4 that may have become 4.5
        const value = readBranch(prefix + other, prefix, scale);
        if (value === score) continue; // a point that ends a sentence
        gone += Math.exp(otherLogprob);
        add(value, path * Math.exp(otherLogprob));
      }
      path *= 1 - Math.min(1, gone);
      break;
    }
    const isFirst = prefix === "";
    const lead = isFirst ? token.slice(0, start - from) : "";
    for (const [other, otherLogprob] of top) {
      if (other === token) continue;
      const text = isFirst ? withoutLead(other, lead) : other;
      const value = text === undefined ? undefined : readBranch(prefix + text, prefix, scale);
      const probability = path * Math.exp(otherLogprob);
      if (value === undefined) continue;
      if (isFirst && !isWhole(scale) && /^\d+$/.test(text!)) siblings.push([value, probability]);
      else add(value, probability);
      if (!isFirst && Math.floor(value) === whole) {
        wholeSum += probability * (value - whole);
        wholeTotal += probability;
      }
    }
    path *= Math.exp(logprob);
    prefix += token.slice(Math.max(0, start - from), Math.min(token.length, end - from));
    if (/^\d+$/.test(prefix)) whole = Number(prefix);
  }
  add(score, path);
  if (Math.floor(score) === whole) {
    wholeSum += path * (score - whole);
    wholeTotal += path;
  }
  const fraction = wholeTotal > 0 ? wholeSum / wholeTotal : 0;
  for (const [value, probability] of siblings) add(Math.min(scale.max, value + fraction), probability);
  return known;
}

/** What another token has of the score: it may lack the space or the quote that stood before it, or have another one. */
function withoutLead(token: string, lead: string): string | undefined {
  const text = plainCharacters(lead !== "" && token.startsWith(lead) ? token.slice(lead.length) : token);
  return /^[\s"'*_`([]*(.*)$/s.exec(text)?.[1];
}

/** The score that a text begins with, where another token was taken than the one that was written. */
function readBranch(text: string, prefix: string, scale: Scale): number | undefined {
  const plain = plainCharacters(text).replace("−", "-");
  const [digits] = /^[-+]?\d+(?:\.\d+)?/.exec(plain) ?? [];
  if (digits === undefined) return undefined;
  const rest = plain.slice(digits.length);
  const isOpen = rest === "" && digits !== prefix; // what comes next is not known
  const value = Number(digits);
  if (isOpen && !digits.includes(".") && value > 0 && value * 10 <= scale.max) return undefined; // 1, or 10
  if (rest === "." && !isWhole(scale)) return undefined; // 4, or 4.5
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
