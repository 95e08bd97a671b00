import { analyse } from "../comparison/analyse.ts";
import { toComparisonRecord } from "../comparison/comparison-record.ts";
import type { PairVerdict } from "../comparison/verdict.ts";
import { formatCount, formatDuration, formatNumbered, formatP } from "../format.ts";
import type { ExperimentArm, ExperimentResult, MatchResult } from "../run/manifest.ts";
import type { Outcome } from "../stats/outcomes.ts";
import type { ExperimentRecipe } from "./recipe.ts";

/*
 * What an experiment comes to: did selecting help, by how much, how sure is that, and what did it save?
 */

/** What is known of an experiment when its stages are done, or were done elsewhere. Money in US dollars. */
export interface ExperimentFacts {
  readonly name: string;
  readonly caveat?: string;
  readonly source?: string;
  readonly arms: readonly ExperimentArm[];
  readonly matches: readonly MatchResult[];
  readonly money: ExperimentResult["money"];
  /** How arms were chosen, where that is known: `random`, `full`. */
  readonly methods: Readonly<Record<string, string>>;
}

/** The result, with the sentence that follows. */
export function concludeExperiment(facts: ExperimentFacts): ExperimentResult {
  const { name, caveat, source, arms, matches, money } = facts;
  const savings = findSavings(facts);
  return {
    name,
    ...(caveat !== undefined && { caveat }),
    ...(source !== undefined && { source }),
    ...describeOutcome(facts, savings),
    arms: [...arms],
    matches: [...matches],
    money,
    savings,
  };
}

/** The mean of one training over the seeds. */
export function meanTraining(trainings: ExperimentArm["trainings"]): Pick<ExperimentArm, "minutes" | "usd"> {
  const mean = (values: readonly (number | null)[]) =>
    values.length > 0 && values.every((value) => value !== null)
      ? values.reduce((sum, value) => sum + value, 0) / values.length
      : null;
  return { minutes: mean(trainings.map(({ minutes }) => minutes)), usd: mean(trainings.map(({ usd }) => usd)) };
}

/** What training on fewer rows saves, and when that has paid for the rating. */
function findSavings({ arms, money, methods }: ExperimentFacts): ExperimentResult["savings"] {
  const full = arms.find(({ arm }) => isFull(arm, methods));
  if (!full || full.minutes === null) return [];
  const [first] = arms;
  return arms
    .filter((own) => own !== full && own.minutes !== null && (own === first || methods[own.arm] === "score"))
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

function isFull(arm: string, methods: ExperimentFacts["methods"]): boolean {
  return methods[arm] === "full";
}

type View = "better" | "worse" | "no difference shown";

/** Whether a match shows anything: by its sign test, or by its interval where several seeds are pooled. */
function viewOf({ pooled, seeds }: MatchResult): View {
  if (seeds.length < 2) return pooled.conclusion;
  const { low, high } = pooled.winningScore;
  return low !== null && low > 1 ? "better" : high !== null && high < 1 ? "worse" : "no difference shown";
}

function describeOutcome(
  facts: ExperimentFacts,
  savings: ExperimentResult["savings"],
): Pick<ExperimentResult, "sentence" | "verdict"> {
  const { arms, matches, methods } = facts;
  const selected = arms[0]?.arm ?? "";
  const judge = matches[0]?.judge;
  const own = matches.filter((match) => match.a === selected && match.judge === judge);
  const random = own.find(({ b }) => methods[b] === "random");
  const full = own.find(({ b }) => isFull(b, methods));
  const decisive = [random, full].filter((match) => match !== undefined);
  if (decisive.length === 0)
    return {
      verdict: "not compared",
      sentence: `Whether selecting helped cannot be said: ${selected || "nothing"} was compared neither with a random control nor with the full set.`,
    };
  if (decisive.every(({ pooled }) => pooled.counts.win + pooled.counts.tie + pooled.counts.lose === 0))
    return { verdict: "not compared", sentence: "Nothing can be concluded: no pair could be judged." };
  const alone = random
    ? ""
    : "; without a random control, having fewer rows and having chosen them cannot be told apart";
  const told = `${decisive.map(tellMatch).join("; ")}${alone}`;
  const [saving] = savings;
  const faster =
    saving && saving.timesFaster > 1
      ? `; training takes ${saving.timesFaster.toFixed(1)} times less time than on all rows (${formatDuration(60_000 * (arms[0]!.minutes ?? 0))})`
      : "";
  const views = new Set(decisive.map(viewOf));
  if (views.has("worse")) return { verdict: "did not help", sentence: `Selecting did not help: ${told}${faster}.` };
  if (random ? viewOf(random) === "better" : views.has("better"))
    return { verdict: "helped", sentence: `Selecting helped: ${told}${faster}.` };
  const beatsFull = full && viewOf(full) === "better";
  return {
    verdict: "no benefit shown",
    sentence: beatsFull
      ? `Fewer rows helped, choosing them was not shown to: ${told}${faster}.`
      : `No benefit shown: ${told}${faster}.`,
  };
}

/** `selected against random: 41 wins, 15 ties, 24 losses, winning score 1.212 [1.013, 1.412]` */
function tellMatch(match: MatchResult): string {
  const { a, b, pooled, seeds } = match;
  const { counts, winningScore, pValue, promptsNeeded } = pooled;
  const split = `${formatNumbered(counts.win, "win", "wins")}, ${formatNumbered(counts.tie, "tie", "ties")}, ${formatNumbered(counts.lose, "loss", "losses")}`;
  const interval =
    winningScore.value === null
      ? ""
      : `, winning score ${winningScore.value.toFixed(3)} [${winningScore.low?.toFixed(3) ?? "-"}, ${winningScore.high?.toFixed(3) ?? "-"}]`;
  const test = seeds.length > 1 ? ` over ${seeds.length} seeds` : `, p ${formatP(pValue)}`;
  const needed =
    viewOf(match) === "no difference shown" && promptsNeeded !== null
      ? ` (to show a difference of this size takes about ${formatCount(Number(promptsNeeded.toPrecision(2)))} prompts)`
      : "";
  return `${a} against ${b} ${split}${interval}${test}${needed}`;
}

/**
 * Matches of the same arms by one judge, trained with several seeds, as one: the pairs of a prompt are drawn together for
 * the intervals, since they are not independent.
 */
export function poolMatches(
  { a, b, judge }: Pick<MatchResult, "a" | "b" | "judge">,
  matches: readonly { readonly a: string; readonly b: string; readonly verdicts: readonly PairVerdict[] }[],
): MatchResult {
  const all = matches.flatMap(({ verdicts, ...names }, i) =>
    verdicts.map((verdict) => ({
      ...verdict,
      ...(matches.length > 1 && {
        id: `${verdict.id} ${names.a} ${names.b} ${i}`,
        prompt: verdict.prompt ?? verdict.id,
      }),
    })),
  );
  const { pooled, sets } = analyse(all);
  return {
    a,
    b,
    judge,
    pooled: toComparisonRecord(pooled),
    sets: sets.map(toComparisonRecord),
    seeds:
      matches.length > 1
        ? matches.map(({ verdicts, ...names }) => ({
            ...names,
            winningScore: toComparisonRecord(analyse(verdicts).pooled).winningScore.value ?? 1,
          }))
        : [],
  };
}

/** The facts of an experiment that was made elsewhere, from its counts. */
export function recordedFacts({
  name,
  caveat,
  source,
  recorded,
}: Pick<ExperimentRecipe, "name" | "caveat" | "source" | "recorded">): ExperimentFacts {
  const { judge, rating_usd: rating = null, arms, comparisons } = recorded!;
  const total = (values: readonly (number | undefined)[]) =>
    values.some((value) => value === undefined) ? null : values.reduce<number>((sum, value) => sum + value!, 0);
  const most = Math.max(...Object.values(arms).map(({ rows }) => rows));
  return {
    name,
    ...(caveat !== undefined && { caveat }),
    ...(source !== undefined && { source }),
    arms: Object.entries(arms).map(([arm, { rows, minutes, usd }]) => {
      const trainings = minutes === undefined ? [] : [{ minutes, usd: usd ?? null, finalLoss: null, lossCurve: [] }];
      return { arm, rows, trainings, ...meanTraining(trainings) };
    }),
    matches: comparisons.map(({ a, b, sets }) =>
      poolMatches({ a, b, judge }, [{ a, b, verdicts: sets.flatMap(toVerdicts) }]),
    ),
    money: { rating, training: total(Object.values(arms).map(({ usd }) => usd)), generating: null, comparing: null },
    methods: Object.fromEntries(
      Object.entries(arms).map(([arm, { rows }]) => [arm, rows === most ? "full" : arm === "random" ? arm : "score"]),
    ),
  };
}

/** Pairs that count as was published. */
function toVerdicts({ set, win, tie, lose }: { set: string; win: number; tie: number; lose: number }): PairVerdict[] {
  const outcomes: Outcome[] = [
    ...Array<Outcome>(win).fill("win"),
    ...Array<Outcome>(tie).fill("tie"),
    ...Array<Outcome>(lose).fill("lose"),
  ];
  return outcomes.map((outcome, i) => ({ id: String(i), set, outcome, orders: [] }));
}
