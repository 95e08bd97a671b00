import { formatDuration, formatNumbered, formatUsd } from "../format.ts";
import type { Conclusion } from "../comparison/adjust.ts";
import type { ComparisonRecord } from "../run/records/comparison.ts";
import type { ExperimentResult, MatchResult } from "../run/records/experiment.ts";
import type { ExperimentFacts } from "./facts.ts";
import { tellMatch, trainingsOf } from "./tell-match.ts";

export function isFull(arm: string, methods: ExperimentFacts["methods"]): boolean {
  return methods[arm] === "full";
}

/** The arm under test: the first that was chosen by scores, or else the first. */
function toldArm({ arms, methods }: Pick<ExperimentFacts, "arms" | "methods">): string {
  return (arms.find(({ arm }) => methods[arm] === "score") ?? arms[0])?.arm ?? "";
}

/** The same match with its sides swapped. */
function mirror(match: MatchResult): MatchResult {
  const turn = ({ value, low, high }: ComparisonRecord["winningScore"]) => ({
    value: value === null ? null : 2 - value,
    low: high === null ? null : 2 - high,
    high: low === null ? null : 2 - low,
  });
  const { pooled, seeds } = match;
  return {
    ...match,
    a: match.b,
    b: match.a,
    pooled: {
      ...pooled,
      counts: { ...pooled.counts, win: pooled.counts.lose, lose: pooled.counts.win },
      winningScore: turn(pooled.winningScore),
      conclusion: opposite(pooled.conclusion),
    },
    seeds: seeds.map(({ a, b, winningScore }) => ({
      a: b,
      b: a,
      winningScore: winningScore === null ? null : 2 - winningScore,
    })),
  };
}

function opposite(conclusion: Conclusion): Conclusion {
  if (conclusion === "better") return "worse";
  return conclusion === "worse" ? "better" : conclusion;
}

/** What one judge says of the arm under test, from its matches against controls. */
interface Heard {
  /** Against every random control, and against all rows. */
  readonly decisive: readonly MatchResult[];
  /** Against the longest rows, which need no judge. */
  readonly longest: readonly MatchResult[];
  readonly verdict: ExperimentResult["verdict"];
  /** The matches that the verdict rests on. */
  readonly basis: readonly MatchResult[];
  readonly hasControl: boolean;
  /** Random arms of another size, which are no controls. */
  readonly otherSizes: readonly string[];
}

function hear(
  matches: readonly MatchResult[],
  told: string,
  { arms, methods }: Pick<ExperimentFacts, "arms" | "methods">,
): Heard {
  const own = matches
    .flatMap((match) => (match.a === told ? match : match.b === told ? mirror(match) : []))
    .filter(({ pooled: { counts } }) => counts.win + counts.tie + counts.lose > 0);
  const rowsOf = (name: string) => arms.find(({ arm }) => arm === name)?.rows ?? undefined;
  const isAsLarge = ({ b }: MatchResult) => {
    const [ours, theirs] = [rowsOf(told), rowsOf(b)];
    return ours === undefined || theirs === undefined || Math.abs(theirs - ours) <= sizeTolerance * ours;
  };
  const random = own.filter(({ b }) => methods[b] === "random");
  const controls = random.filter(isAsLarge);
  const full = own.filter(({ b }) => isFull(b, methods));
  const decisive = [...controls, ...full];
  const worse = decisive.filter(({ pooled }) => pooled.conclusion === "worse");
  const basis = worse.length > 0 ? worse : controls.length > 0 ? controls : full;
  const verdict =
    decisive.length === 0
      ? "not compared"
      : worse.length > 0
        ? "did not help"
        : basis.every(({ pooled }) => pooled.conclusion === "better")
          ? "helped"
          : "no benefit shown";
  return {
    decisive,
    basis,
    longest: own.filter((match) => methods[match.b] === "longest" && isAsLarge(match)),
    verdict,
    hasControl: controls.length > 0,
    otherSizes: random.filter((match) => !isAsLarge(match)).map(({ b }) => b),
  };
}

const sizeTolerance = 0.1; // a control is drawn with as many rows, or some fewer where duplicates are left out

/** Whether a verdict rests on a match of one training alone. That compares two models, not two ways of choosing their rows. */
function isOneTraining(saying: readonly Heard[]): boolean {
  return saying.some(({ verdict, basis }) => {
    const areOne = basis.map((match) => trainingsOf(match).length < 2);
    return verdict === "did not help" ? areOne.every(Boolean) : areOne.some(Boolean); // one that does worse is enough
  });
}

/** The sentence and the verdict on the arm under test, with what its benchmarks show. */
export function describeOutcome(
  facts: ExperimentFacts,
  savings: ExperimentResult["savings"],
  moreTrainings: ExperimentResult["moreTrainings"],
): Pick<ExperimentResult, "sentence" | "verdict"> {
  const { verdict, sentence } = describeMatches(facts, savings, moreTrainings);
  const isCompared = facts.matches.length > 0;
  const found = [
    ...(facts.losses?.differences.length && !isCompared ? [describeLosses(facts.losses.differences)] : []),
    ...(facts.benchmarks?.length ? [describeBenchmarks(facts.benchmarks)] : []),
  ];
  if (found.length === 0) return { verdict, sentence };
  return { verdict, sentence: [isCompared ? sentence : "No answers were compared.", ...found].join(" ") };
}

function describeMatches(
  facts: ExperimentFacts,
  savings: ExperimentResult["savings"],
  moreTrainings: ExperimentResult["moreTrainings"],
): Pick<ExperimentResult, "sentence" | "verdict"> {
  const { arms, matches, methods } = facts;
  const told = toldArm(facts);
  const judges = [...new Set(matches.map(({ judge }) => judge))];
  const heard = judges.map((judge) => ({
    judge,
    ...hear(
      matches.filter((match) => match.judge === judge),
      told,
      facts,
    ),
  }));
  const saying = heard.filter(({ verdict }) => verdict !== "not compared");
  if (matches.length === 0 && arms.length > 0 && arms.every(({ trainings }) => trainings.length === 0))
    return {
      verdict: "not compared",
      sentence: `${formatNumbered(arms.length, "arm was", "arms were")} selected; the recipe trains and compares nothing, so this says nothing of whether selecting helps.`,
    };
  const small = [...new Set(heard.flatMap(({ otherSizes }) => otherSizes))];
  if (saying.length === 0)
    return {
      verdict: "not compared",
      sentence: matches.some(({ a, b }) => a === told || b === told)
        ? `Whether selecting helped cannot be said: no pair of ${told} and a random control or the full set is decided${small.length > 0 ? ` (${small.join(", ")}: not as many rows, and so no control)` : ""}.`
        : `Whether selecting helped cannot be said: ${told || "nothing"} was compared neither with a random control nor with the full set.`,
    };
  const open = saying.flatMap(({ judge, decisive }) =>
    decisive.flatMap(({ a, b, missing }) =>
      missing === undefined ? [] : [`${a} against ${b} by ${judge}: ${missing}`],
    ),
  );
  if (open.length > 0)
    return {
      verdict: "not compared",
      sentence: `Whether selecting helped cannot be said: verdicts are missing (${open.join("; ")}).`,
    };
  const saving = savings.find(({ arm }) => arm === told);
  const faster =
    saving && saving.timesFaster >= 1.05 // less reads as 1.0 times
      ? `; training takes ${saving.timesFaster.toFixed(1)} times less time than on all rows (${formatDuration(60_000 * (arms.find(({ arm }) => arm === told)?.minutes ?? 0))})`
      : "";
  const losers = saying.filter(({ longest }) => longest.some(({ pooled }) => pooled.conclusion === "worse"));
  const better = `the longest rows do better${saying.length > 1 ? ` by ${losers.map(({ judge }) => judge).join(", ")}` : ""}`;
  const lost =
    losers.length > 0
      ? `; ${better} (${losers
          .flatMap(({ longest }) => longest)
          .map(tellMatch)
          .join("; ")})`
      : "";
  if (isOneTraining(saying))
    return {
      verdict: "one training",
      sentence: `${describeModels(saying)}; ${describeTrainings(facts.trainings, saying)}, so this is about these models and not about selecting${describeMore(moreTrainings)}${lost}${faster}.`,
    };
  const verdicts = new Set(saying.map(({ verdict }) => verdict));
  if (verdicts.size > 1)
    return {
      verdict: "no benefit shown",
      sentence: `The judges disagree: ${saying.map(({ judge, verdict, decisive }) => `by ${judge}, ${beginnings[verdict]} (${decisive.map(tellMatch).join("; ")})`).join("; ")}${lost}${faster}.`,
    };
  const { decisive, verdict, hasControl, otherSizes } = saying[0]!;
  const alone = hasControl
    ? ""
    : `; without a random control${otherSizes.length > 0 ? ` of its size (${otherSizes.join(", ")} ${otherSizes.length === 1 ? "has" : "have"} another)` : ""} we cannot say that the selection did it`;
  const by = saying.length > 1 ? `, by all of ${saying.map(({ judge }) => judge).join(", ")}` : "";
  const beatsFull = decisive.some((match) => isFull(match.b, methods) && match.pooled.conclusion === "better");
  const beatsRandom =
    hasControl && decisive.every((match) => isFull(match.b, methods) || match.pooled.conclusion === "better");
  const beginning =
    verdict === "no benefit shown" && beatsFull && hasControl
      ? "Fewer rows helped, choosing them was not shown to"
      : verdict === "did not help" && beatsRandom
        ? "Choosing rows helped, but having fewer did not"
        : capitalise(beginnings[verdict]);
  const but = losers.length > 0 ? `, ${verdict === "helped" ? "but" : "and"} ${better}` : "";
  return {
    verdict,
    sentence: `${beginning}${by}${but}: ${[...decisive, ...(losers[0] ?? saying[0]!).longest].map(tellMatch).join("; ")}${alone}${faster}.`,
  };
}

/** Says which differences in held-out losses hold. */
function describeLosses(differences: NonNullable<ExperimentFacts["losses"]>["differences"]): string {
  const shown = differences.filter(({ adjustedPValue }) => adjustedPValue < 0.05);
  const tell = ({ a, b, difference: { value } }: (typeof shown)[number]) =>
    (value ?? 0) > 0 ? `${a} below ${b}` : `${b} below ${a}`;
  const what = `${formatNumbered(differences.length, "difference in losses", "differences in losses")} on held-out answers (they favour the style of these answers)`;
  return shown.length === 0
    ? `Of ${what} none holds after correction.`
    : `Of ${what} ${shown.length === 1 ? "one holds" : `${shown.length} hold`} after correction: ${shown.map(tell).join(", ")}.`;
}

/** Says which differences in benchmarks hold. */
function describeBenchmarks(benchmarks: NonNullable<ExperimentFacts["benchmarks"]>): string {
  const differences = benchmarks.flatMap(({ task, differences: of }) => of.map((one) => ({ task, ...one })));
  if (differences.length === 0) return "No benchmark has two arms to compare.";
  const shown = differences.filter(({ adjustedPValue }) => adjustedPValue < 0.05);
  const tell = ({ task, a, b, means: [ours, theirs] }: (typeof shown)[number]) =>
    (ours ?? 0) > (theirs ?? 0) ? `${a} above ${b} in ${task}` : `${b} above ${a} in ${task}`;
  const what = formatNumbered(differences.length, "difference in benchmarks", "differences in benchmarks");
  return shown.length === 0
    ? `Of ${what} none holds after correction.`
    : `Of ${what} ${shown.length === 1 ? "one holds" : `${shown.length} hold`} after correction: ${shown.map(tell).join(", ")}.`;
}

/** Says how often each arm was trained. Recorded results may not state it, or pool the pairs of all trainings. */
function describeTrainings(trainings: number | undefined, saying: readonly Heard[]): string {
  const isOneDecided = saying.some(({ basis }) =>
    basis.some((match) => match.seeds.length > 1 && trainingsOf(match).length < 2),
  );
  if (isOneDecided) return "only one training of each has decided pairs";
  if (trainings === undefined) return "how often each was trained is not known";
  if (trainings === 1) return "each was trained once";
  return `each was trained ${trainings} times, but the results do not separate the trainings`;
}

/** Says whether these models differ, which is all that single trainings show. */
function describeModels(
  saying: readonly { readonly judge: string; readonly decisive: readonly MatchResult[] }[],
): string {
  const tell = (decisive: readonly MatchResult[]) => decisive.map(tellMatch).join("; ");
  const differs = saying
    .flatMap(({ decisive }) => decisive)
    .some(({ pooled }) => pooled.conclusion === "better" || pooled.conclusion === "worse");
  const told = saying.map(({ judge, decisive }) =>
    saying.length > 1 ? `by ${judge}, ${tell(decisive)}` : tell(decisive),
  );
  return `${differs ? "These trained models differ" : "These trained models are not shown to differ"}: ${told.join("; ")}`;
}

/** What the missing trainings would cost, in words. */
function describeMore(more: ExperimentResult["moreTrainings"]): string {
  if (!more) return "";
  const { trainings, minutes, trainingUsd, callsUsd } = more;
  const usd = [trainingUsd, callsUsd].some((part) => part !== null) ? (trainingUsd ?? 0) + (callsUsd ?? 0) : null;
  const only = trainingUsd === null ? " for calls" : callsUsd === null ? " for training" : "";
  const cost = [
    ...(minutes === null ? [] : [formatDuration(60_000 * minutes)]),
    ...(usd === null || usd === 0 ? [] : [`${formatUsd(usd)}${only}`]),
  ];
  const what = trainings === 1 ? "one more training of each arm" : `${trainings} more trainings of each arm`;
  return `; ${what} would tell more${cost.length > 0 ? `, at about ${cost.join(" and ")}` : ""}`;
}

const beginnings: Readonly<Record<ExperimentResult["verdict"], string>> = {
  helped: "selecting helped",
  "did not help": "selecting did not help",
  "no benefit shown": "no benefit shown",
  "one training": "two models compared",
  "not compared": "nothing compared",
};

function capitalise(text: string): string {
  return text[0]!.toUpperCase() + text.slice(1);
}
