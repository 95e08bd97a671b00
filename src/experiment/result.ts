import { adjust, adjustComparisons } from "../comparison/adjust.ts";
import type { ExperimentResult, MatchResult } from "../run/records/experiment.ts";
import { describeOutcome, isFull } from "./describe-result.ts";
import type { ExperimentFacts } from "./facts.ts";

/*
 * The result of an experiment: did selecting help, by how much, how certain is that, and what did it save?
 */

/** Draws the conclusion: the result with its verdict and sentence. */
export function concludeExperiment(facts: ExperimentFacts): ExperimentResult {
  const { name, caveat, source, isPublished, arms, money } = facts;
  const matches = adjustMatches(facts.matches, facts.dropped);
  const savings = findSavings(facts);
  const moreTrainings = priceTrainings(facts);
  return {
    name,
    caveat,
    source,
    ...(isPublished && { isPublished }),
    ...describeOutcome({ ...facts, matches }, savings, moreTrainings),
    ...(moreTrainings && { moreTrainings }),
    arms: [...arms],
    matches: [...matches],
    losses: facts.losses,
    benchmarks: facts.benchmarks,
    contamination: facts.contamination,
    money,
    savings,
  };
}

/** Corrects the p-values of all matches, and of their test sets, for multiple testing: as those of the comparisons that one command makes. */
function adjustMatches(matches: readonly MatchResult[], dropped: ExperimentFacts["dropped"] = []): MatchResult[] {
  const [only] = matches;
  if (only && matches.length + dropped.length === 1) return [{ ...only, pooled: adjust([only.pooled], "Holm")[0]! }];
  const command = "run";
  const all = [...matches, ...dropped].map((match) => ({ ...match, command }));
  const adjusted = adjustComparisons(all);
  return matches.map((match, i) => ({ ...match, pooled: adjusted[i]!.pooled, sets: adjusted[i]!.sets }));
}

const wantedTrainings = 3; // of each arm: fewer hardly show how much trainings vary

/** Cost of the trainings still missing to three of each arm; undefined when none are missing, or nothing was trained. */
function priceTrainings({
  arms,
  money,
  isPublished,
  trainings: stated = 0,
}: ExperimentFacts): ExperimentResult["moreTrainings"] {
  const trained = arms.filter(({ trainings }) => trainings.length > 0);
  const done = Math.min(...trained.map(({ trainings }) => trainings.length));
  if (trained.length === 0 || Math.max(done, isPublished ? stated : 0) >= wantedTrainings) return undefined;
  const trainings = wantedTrainings - done;
  const sum = (values: readonly (number | null)[]) =>
    values.some((value) => value === null) ? null : values.reduce<number>((total, value) => total + value!, 0);
  const calls = sum([money.generating, money.comparing]);
  const training = sum(trained.map(({ usd }) => usd));
  const minutes = sum(trained.map((arm) => arm.minutes));
  return {
    trainings,
    minutes: minutes === null ? null : trainings * minutes,
    trainingUsd: training === null ? null : trainings * training,
    callsUsd: calls === null ? null : (trainings * calls) / done,
  };
}

/** What training on fewer rows saves, and after how many trainings that pays for the rating. */
function findSavings({ arms, money, methods }: ExperimentFacts): ExperimentResult["savings"] {
  const full = arms.find(({ arm }) => isFull(arm, methods));
  if (!full || full.minutes === null) return [];
  return arms
    .filter((own) => own !== full && own.minutes !== null && methods[own.arm] === "score")
    .map((own) => {
      const usd = own.usd === null || full.usd === null ? null : full.usd - own.usd;
      return {
        arm: own.arm,
        full: full.arm,
        timesFaster: full.minutes! / own.minutes!,
        minutes: full.minutes! - own.minutes!,
        usd,
        paysBackAfter: usd === null || usd <= 0 || money.rating === null ? null : Math.ceil(money.rating / usd),
      };
    });
}
