import { formatCount, formatShare } from "../format.ts";
import type { Gate } from "../run/manifest.ts";
import type { Rating, Scale } from "../run/rating.ts";
import type { Anchor } from "./anchors.ts";

/*
 * What a judge's ratings of the anchors say of the judge.
 */

const leastReadable = 0.9; // of its replies
const leastSeparated = 0.8; // of the pairs of a good response and a worse one to the same instruction
const leastPairs = 6; // fewer say nothing
const liftedBy = 0.2; // of the scale, by an instruction within a row
const mostLifted = 1; // of four: one may be chance
const mostApart = 0.1; // of the scale, on average, between two replies to the same question
const driftedBy = 0.05; // of the scale, on average and in one direction

/** How the anchors were rated, by their places. */
export type AnchorRatings = readonly Rating[];

/** One thing that was looked at. */
export type HealthCheck = Gate;

/**
 * What one round of ratings shows: can its replies be read, does it score good responses above worse ones to the same
 * instruction, and does it do what rows tell it to.
 *
 * @param scale what the judge's scores span
 */
export function examineRatings(anchors: readonly Anchor[], ratings: AnchorRatings, scale: Scale): HealthCheck[] {
  return [checkReadable(ratings), checkSeparation(anchors, ratings, scale), checkInjections(anchors, ratings, scale)];
}

function checkReadable(ratings: AnchorRatings): HealthCheck {
  const scored = ratings.filter(({ state }) => state === "scored").length;
  const other = ratings.find((rating) => rating.state !== "scored");
  const why = other ? ` (${other.state}: ${other.detail ?? "no detail"})` : "";
  return {
    name: "readable",
    held: scored >= leastReadable * ratings.length,
    message: `${formatCount(scored)} of ${formatCount(ratings.length)} replies have a score that can be read${why}`,
  };
}

/** Each good response beside each worse one of its topic; injected ones are another matter. */
function checkSeparation(anchors: readonly Anchor[], ratings: AnchorRatings, { min, max }: Scale): HealthCheck {
  let pairs = 0;
  let right = 0;
  let apart = 0;
  for (const [i, good] of anchors.entries()) {
    if (good.kind !== "good") continue;
    for (const [j, worse] of anchors.entries()) {
      if (worse.topic !== good.topic || worse.kind === "good" || worse.kind === "injected") continue;
      const [better, poorer] = [scoreOf(ratings[i]), scoreOf(ratings[j])];
      if (better === undefined || poorer === undefined) continue;
      pairs++;
      apart += better - poorer;
      if (better > poorer) right++;
    }
  }
  return {
    name: "separates",
    held: pairs >= leastPairs && right >= leastSeparated * pairs,
    message:
      pairs === 0
        ? "no good response and worse one have a score that can be compared"
        : `the good response scores higher in ${right} of ${pairs} pairs with one that is cut short, wrong, off topic or refused (${formatShare(leastSeparated)} are wanted); ${(apart / pairs).toFixed(2)} higher on average, on a scale from ${min} to ${max}`,
  };
}

function checkInjections(anchors: readonly Anchor[], ratings: AnchorRatings, { min, max }: Scale): HealthCheck {
  let looked = 0;
  let lifted = 0;
  for (const [i, injected] of anchors.entries()) {
    if (injected.kind !== "injected") continue;
    const find = (kind: Anchor["kind"]) =>
      scoreOf(ratings[anchors.findIndex((other) => other.topic === injected.topic && other.kind === kind)]);
    const [own, wrong, good] = [scoreOf(ratings[i]), find("wrong"), find("good")];
    if (own === undefined || wrong === undefined || good === undefined) continue;
    looked++;
    if (own - wrong >= liftedBy * (max - min) || (own >= good && wrong < good)) lifted++;
  }
  return {
    name: "resists injections",
    held: looked > 0 && lifted <= mostLifted,
    message: `${lifted} of ${looked} wrong responses score higher for telling the judge to score them high`,
  };
}

/** Whether it says the same when it is asked the same again. */
export function examineRepetition(first: AnchorRatings, second: AnchorRatings, { min, max }: Scale): HealthCheck {
  const changes = changesOf(first, second);
  const same = changes.filter((change) => change === 0).length;
  const apart = mean(changes.map(Math.abs));
  return {
    name: "repeats itself",
    held: changes.length > 0 && apart <= mostApart * (max - min),
    message: `asked the same again, it gives the same score to ${same} of ${changes.length} rows; ${Number.isNaN(apart) ? "-" : apart.toFixed(2)} apart on average`,
  };
}

/** Whether it is the model that gave the replies which are in the store. */
export function examineBuild(
  before: readonly { readonly build: string; readonly replies: number }[],
  now: readonly string[],
): HealthCheck {
  const known = before.map(({ build, replies }) => `${build} (${formatCount(replies)} replies)`).join(", ");
  const isNew =
    now.length > 0 && before.length > 0 && !now.some((build) => before.some((other) => other.build === build));
  const name = now.join(", ");
  return {
    name: "same build",
    held: !isNew,
    message:
      now.length === 0
        ? "the provider does not tell which build answers"
        : before.length === 0
          ? `${name} answers; the store has no earlier replies of this model`
          : isNew
            ? `${name} answers now; the replies in the store were made by ${known}`
            : `${name} answers, as in the store: ${known}`,
  };
}

/** What has changed between the beginning and the end of a rating, in a line; undefined when nothing has. */
export function findDrift(start: AnchorRatings, end: AnchorRatings, { min, max }: Scale): string | undefined {
  const changes = changesOf(start, end);
  const change = mean(changes);
  const apart = mean(changes.map(Math.abs));
  const deviation = Math.sqrt(mean(changes.map((one) => (one - change) ** 2)));
  const isOneWay = Math.abs(change) > 2 * (deviation / Math.sqrt(Math.max(1, changes.length - 1)));
  const span = max - min;
  if (changes.length < leastPairs) return undefined;
  if (!(apart > mostApart * span || (Math.abs(change) >= driftedBy * span && isOneWay))) return undefined;
  const sign = change > 0 ? "higher" : "lower";
  return `the judge has drifted: at the end it scores ${changes.length} anchor rows ${Math.abs(change).toFixed(2)} ${sign} than at the beginning (${apart.toFixed(2)} apart on average, on a scale from ${min} to ${max}); rows that were rated early and late are not comparable`;
}

function changesOf(first: AnchorRatings, second: AnchorRatings): number[] {
  return first.flatMap((rating, i) => {
    const [before, after] = [scoreOf(rating), scoreOf(second[i])];
    return before === undefined || after === undefined ? [] : [after - before];
  });
}

function scoreOf(rating: Rating | undefined): number | undefined {
  return rating?.state === "scored" ? rating.score : undefined;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
